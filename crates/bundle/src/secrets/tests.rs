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
        ("login with default password: cubswin:) now", "login with default password: *** now"),
        ("<password>hunter2</password>", "<password>***</password>"),
        ("a\n-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nb", "a\n***\nb"),
        ("-----BEGIN PRIVATE KEY-----\nMII", "***"),
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
    ] {
        assert!(matches!(scrub(text), Cow::Borrowed(_)), "{text} -> {}", scrub(text));
    }
}

#[test]
fn options_lose_their_values_with_the_lines_that_go_on() {
    let text = "[DEFAULT]\nmy_ip = 10.0.0.1\nrabbit_password: a b=c\n  more\n#admin_password = old\n\
                sql_connection=mysql://nova:x@db/nova\nmetadata_proxy_shared_secret=\nxen_key = abc\n";
    let scrubbed = scrub_file("nova.conf", text);
    assert_eq!(
        scrubbed,
        "[DEFAULT]\nmy_ip = 10.0.0.1\nrabbit_password = ***\n#admin_password = ***\n\
         sql_connection = ***\nmetadata_proxy_shared_secret=\nxen_key = ***\n"
    );
}

#[test]
fn the_options_of_a_map_lose_theirs() {
    let options = std::collections::BTreeMap::from([("rabbit_password", "x"), ("my_ip", "10.0.0.1")]);
    let json = crate::mapped::to_vec(&options, &Scrub).unwrap();
    assert_eq!(json, br#"{"my_ip":"10.0.0.1","rabbit_password":"***"}"#);
}

proptest::proptest! {
    #[test]
    fn any_text_can_be_scrubbed(text: String, mess in "[a-z:/@=\"'\\\\ \n<>-]{0,80}") {
        for text in [text.clone(), mess.clone(), format!("password={mess}"), format!("://{mess}{text}")] {
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
        ] {
            proptest::prop_assert!(!scrub(&text).contains(&secret), "{}", scrub(&text));
        }
    }
}
