use super::*;

#[test]
fn what_is_secret_goes() {
    let cases = [
        ("mysql://nova:s3cr3t@db/nova", "mysql://nova:***@db/nova"),
        ("mysql://nova:p@ss/w:rd@db/nova?x=1 then", "mysql://nova:***@db/nova?x=1 then"),
        ("rabbit://a:one@h1,rabbit://b:two@h2/", "rabbit://a:***@h2/"),
        ("qemu-system --password=hunter2 -m 1", "qemu-system --password=*** -m 1"),
        ("<graphics type='vnc' passwd='hun\"ter2'/>", "<graphics type='vnc' passwd='***'/>"),
        ("{\"admin_token\": \"a b\", \"x\": 1}", "{\"admin_token\": \"***\", \"x\": 1}"),
        ("{\\\"token\\\":\\\"abc\\\"}", "{\\\"token\\\":\\\"***\\\"}"),
        ("MYSQL_PWD=x mysql; export PWD=hunter2", "MYSQL_PWD=*** mysql; export PWD=***"),
        ("admin_pwd: x y", "admin_pwd: *** y"),
        ("network={\n\tssid=\"a\"\n\tpsk=\"a b\"\n}", "network={\n\tssid=\"a\"\n\tpsk=\"***\"\n}"),
        ("wpa_psk: 00ff", "wpa_psk: ***"),
        ("<env name='DB_PWD' value='/x'/>", "<env name='DB_PWD' value='***'/>"),
        ("login with default password: cubswin:) now", "login with default password: *** now"),
        ("<password>hunter2</password>", "<password>***</password>"),
        ("a\n-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nb", "a\n***\nb"),
        ("-----BEGIN PRIVATE KEY-----\nMII", "***"),
        ("rbd:images/x:id=nova:key=AQBz==:auth_supported=none x", "rbd:images/x:id=nova:key=*** x"),
        (
            "-object secret,id=k,data=AbC=,iv=x -drive file=x",
            "-object secret,id=k,data=***,iv=x -drive file=x",
        ),
        ("[client.nova]\n\tkey = AQBzAAAAAAAAAAAAAAAAAAAA==\n", "[client.nova]\n\tkey = ***\n"),
        ("db_pass=ab,c\"d;e&f then", "db_pass=*** then"),
        ("MII\nAbC=\n-----END RSA PRIVATE KEY-----\nlogin:", "***\nlogin:"),
        (
            "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\nAbC\n-----END PRIVATE KEY-----\nb",
            "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----***\nb",
        ),
        ("nova: profiler.hmac_keys = Sk1,Sk2 x", "nova: profiler.hmac_keys = *** x"),
        ("GET /\nAuthorization: Bearer eyJ.a-b_c=\nHost: x", "GET /\nAuthorization: Bearer ***\nHost: x"),
        ("curl -H 'Authorization: Basic YTpi' http://x", "curl -H 'Authorization: Basic ***' http://x"),
        (r#"{"authorization": "Bearer abc", "x": 1}"#, r#"{"authorization": "Bearer ***", "x": 1}"#),
        (
            "Proxy-Authorization: Digest username=\"a\", response=\"b\"\nx",
            "Proxy-Authorization: Digest ***\nx",
        ),
        ("7 curl -sku admin:s3:cr http://x -o y", "7 curl -sku admin:*** http://x -o y"),
        ("+ /usr/bin/curl --user 'admin:a b' http://x", "+ /usr/bin/curl --user 'admin:***' http://x"),
        ("x=$(curl -uadmin:s3cr http://x)", "x=$(curl -uadmin:*** http://x)"),
        (
            "sshpass -p 'a b' ssh -p 22 x; sshpass -phunter ssh x",
            "sshpass -p '***' ssh -p 22 x; sshpass -p*** ssh x",
        ),
        ("mysql -uroot -phunter2 nova", "mysql -uroot -p*** nova"),
        ("ipmitool -H bmc -U admin -P hunter2 power", "ipmitool -H bmc -U admin -P *** power"),
        (
            "<qemu:env name='RBD_PASSWORD' value='x y'/><a/>",
            "<qemu:env name='RBD_PASSWORD' value='***'/><a/>",
        ),
        ("<env value = \"x\"\n name=\"MY_TOKEN\"/>", "<env value = \"***\"\n name=\"MY_TOKEN\"/>"),
        ("The root password is Hunter2! now", "The root password is *** now"),
        ("Setting application password to 'x y' now", "Setting application password to '***' now"),
        ("Password for user 'admin': hunter2", "Password for user 'admin': ***"),
        (
            "chpasswd:\n  list: |\n    root:s3:cr et\n    - ubuntu:x\n  expire: False\nrun:\n  a:b\n",
            "chpasswd:\n  list: |\n    root:***\n    - ubuntu:***\n  expire: False\nrun:\n  a:b\n",
        ),
        ("chpasswd: { list: [root:x], expire: false }\n", "chpasswd: { list: ***\n"),
        (
            "Set the following 'random' passwords\n[ 9.1] cloud-init[3]: ubuntu:s3:cr\r\n[ OK ] up\nroot:x y\n",
            "Set the following 'random' passwords\n[ 9.1] cloud-init[3]: ubuntu:***\r\n[ OK ] up\nroot:x y\n",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(scrub(text), expected, "{text}");
    }
}

#[test]
fn what_is_not_secret_stays() {
    for text in [
        "-A FORWARD -s 10.0.0.1/32 -m comment --comment \"a: b = c\" -j DROP",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]:8775/",
        "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----",
        "ssh-rsa AAAA user@host: comment",
        "fa:16:3e:00:00:01",
        "Nov 27 03:00:00 sshd[7]: Failed password for root from fe80::1 port 22 ssh2",
        "Failed password for invalid user a from 10.0.0.1 port 22: too many",
        "[sudo] password for admin: ",
        "the password is not set; a password is required. Password to log in",
        "chpasswd[7]: pam_unix(chpasswd:chauthtok): new password for root",
        "mysql -p nova; ssh -p 22 admin:x; curl -o a:b -H x:y http://h:80/",
        "ps -u admin:x; rsync -p x",
        "polkit: authorization: denied",
        "<filterref filter='x'><parameter name='IP' value='10.0.0.2'/></filterref>",
        "-----BEGIN PUBLIC KEY-----\nMII\n-----END PUBLIC KEY-----\nx",
        "PWD=/root\nOLDPWD=/var/lib/nova then",
        r#"{"PWD": "/root", "cwd": "x"}"#,
        "<env name='PWD' value='/root'/>",
        "key_mgmt=WPA-PSK",
        "line 3: expected `key = value`, `[section]` or a comment",
        "dnsmasq -u nobody --conf-file= --pid-file=/x",
        "queue flags bypass: 3",
        r#"{"meta":{"key":"iifname"}}"#,
    ] {
        assert!(matches!(scrub(text), Cow::Borrowed(_)), "{text} -> {}", scrub(text));
    }
}

#[test]
fn options_lose_their_values_with_the_lines_that_go_on() {
    let text = "[DEFAULT]\nmy_ip = 10.0.0.1\nrabbit_password: a b=c\n  more\n#admin_password = old\n\
                sql_connection=mysql://nova:x@db/nova\nmetadata_proxy_shared_secret=\nxen_key = abc\n\
                [profiler]\nhmac_keys = x\n";
    let scrubbed = scrub_file("nova.conf", text);
    for other in ["nova.conf.lab", "etc/nova.lab", "x.ini", "x.cfg"] {
        assert_eq!(scrub_file(other, text), scrubbed, "{other}");
    }
    assert_eq!(
        scrubbed,
        "[DEFAULT]\nmy_ip = 10.0.0.1\nrabbit_password = ***\n#admin_password = ***\n\
         sql_connection = ***\nmetadata_proxy_shared_secret=\nxen_key = ***\n[profiler]\nhmac_keys = ***\n"
    );
}

#[test]
fn json_stays_json() {
    let json = r#"[{"comment":"password=a\"b","chain":"x"},{"token":"t","chain":"y"}]"#;
    let expected = r#"[{"chain":"x","comment":"password=***"},{"chain":"y","token":"***"}]"#;
    assert_eq!(scrub_file("main/nft.json", json), expected);
    assert_eq!(scrub_file("main/nft.json", "[{\n}]\n"), "[{\n}]\n");
}

#[test]
fn the_options_of_a_map_lose_theirs() {
    let options = std::collections::BTreeMap::from([("rabbit_password", "x"), ("my_ip", "10.0.0.1")]);
    let json = crate::mapped::to_vec(&options, &Scrub::default()).unwrap();
    assert_eq!(json, br#"{"my_ip":"10.0.0.1","rabbit_password":"***"}"#);
}

#[test]
fn the_word_behind_a_secrets_name_goes_too() {
    let words = [
        "dnsmasq",
        "--password",
        "hunter2",
        "-p",
        "--token=a b",
        "x",
        "--passwd",
        "--other",
        "y",
        "--secret",
    ];
    let arguments = Arguments::default();
    let hidden: Vec<_> = words.iter().map(|word| arguments.next(word)).collect();
    let expected =
        ["dnsmasq", "--password", "***", "-p", "--token=***", "x", "--passwd", "***", "y", "--secret"];
    assert_eq!(hidden, expected);
    let process = model::service::Process { argv: words.map(str::to_owned).into(), ..Default::default() };
    let json = crate::mapped::to_vec(&[&process, &process], &Scrub::default()).unwrap();
    let json = String::from_utf8(json).unwrap();
    assert_eq!((json.contains("hunter2"), json.matches("\"dnsmasq\"").count()), (false, 2), "{json}");
}

#[test]
fn commands_whose_options_say_nothing_are_known() {
    let arguments = Arguments::default();
    let words = [
        "sudo",
        "sshpass",
        "-p",
        "hunter2",
        "ssh",
        "curl",
        "-u",
        "a:hunter2",
        "mysql",
        "-phunter2",
        "-p",
        "x",
    ];
    let hidden: Vec<_> = words.iter().map(|word| arguments.next(word)).collect();
    let expected =
        ["sudo", "sshpass", "-p", "***", "ssh", "curl", "-u", "a:***", "mysql", "-p***", "-p", "x"];
    assert_eq!(hidden, expected);
}

#[test]
fn a_long_line_takes_no_longer_for_its_marks() {
    let started = std::time::Instant::now();
    for piece in [
        "data=",
        "password=",
        "-----BEGIN ",
        "-----END ",
        "://",
        "é: ",
        "<a ",
        "<a name='b' ",
        "<a name=' ",
        "password for ",
        "authorization: ",
        "curl -u ",
        "sshpass -p '",
    ] {
        scrub(&piece.repeat((1 << 20) / piece.len()));
    }
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

proptest::proptest! {
    #[test]
    fn any_text_can_be_scrubbed(text: String, mess in "[a-z:/@=\"'\\\\ \n<>-]{0,80}") {
        for text in [
            text.clone(),
            mess.clone(),
            format!("password={mess}"),
            format!("://{mess}{text}"),
            format!("curl -u {mess}{text} sshpass -p{mess} mysql -p{mess}"),
            format!("<a name='token' {mess} value='{text}{mess}'"),
            format!("Authorization{mess}: Digest {text}"),
            format!("password is {mess}{text} password for {mess}: {text}"),
            format!("{text}-----END {mess}PRIVATE KEY{mess}-----BEGIN PRIVATE KEY"),
            format!("chpasswd:{mess}\n  {text}:{mess}"),
        ] {
            let once = scrub(&text).into_owned();
            proptest::prop_assert!(once.len() <= text.len() * 4 + 8);
            scrub_file("nova.conf", &text);
        }
    }

    #[test]
    fn a_planted_secret_never_stays(secret in "[A-Z]{12}", blanks in " {0,2}", quote in "['\"]?") {
        for text in [
            format!("rabbit://nova:{secret}@rabbit1:5672/"),
            format!("x_password{blanks}={blanks}{quote}{secret}{quote}"),
            format!("\"auth_token\":{blanks}\"{secret}\""),
            format!("Authorization:{blanks}Bearer {secret}{quote}"),
            format!("curl{blanks} -s -u{blanks}a:{secret} http://x"),
            format!("<env name='MY_TOKEN'{blanks} value{blanks}={blanks}'{secret}'/>"),
            format!("{secret}\n-----END PRIVATE KEY-----"),
        ] {
            proptest::prop_assert!(!scrub(&text).contains(&secret), "{}", scrub(&text));
        }
    }
}
