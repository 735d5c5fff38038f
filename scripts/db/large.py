"""A large cloud's rows in nova's tables, for bench_db.py: the same for every server.

Of N fixed IPs in 20 networks (1,000,000: each of a /16's size) a tenth is given: N/5 instances, of which the first half
lives, each with a NIC, an address and a cache, 500 on a host; N/10 floating IPs, of which three fifths hang on the
first instances' addresses and the others are free. About one row in a thousand is inconsistent.
"""

ALIVE_SINCE = "2026-11-01 00:00:00"


def instance_uuid(number):
    return f"00000000-0000-4000-8000-{number:012}"


def vif_uuid(number):
    return f"10000000-0000-4000-8000-{number:012}"


def network_uuid(number):
    return f"20000000-0000-4000-8000-{number:012}"


def mac(number):
    octets = number.to_bytes(3, "big")
    return "fa:16:3e:" + ":".join(f"{octet:02x}" for octet in octets)


def floating(number):
    return f"172.{16 + number // 65536}.{number // 256 % 256}.{number % 256}"


class Cloud:
    """The rows of each table, by its name: (columns, rows); None is NULL."""

    def __init__(self, fixed_ips):
        # What is counted in the docstring of a cloud of a million, in this one.
        self.of_million = lambda number: number * fixed_ips // 1_000_000
        self.fixed_ips = fixed_ips
        self.alive = fixed_ips // 10
        self.each = fixed_ips // 20

    def tables(self):
        tables = [self.networks, self.services, self.instances, self.virtual_interfaces, self.fixed_ips_table,
                  self.floating_ips, self.instance_info_caches, self.security_groups, self.security_group_rules,
                  self.security_group_instance_association]
        for table in tables:
            columns, rows = table()
            yield table.__name__.removesuffix("_table"), columns.split(), rows

    def network_of(self, fixed):
        return 1 + (fixed - 1) // self.each

    def host_of(self, instance):
        return f"compute{1 + instance % (self.alive // 500)}"

    def among(self, number, first, last):
        """It is one of those that bear these numbers in a cloud of a million."""
        return self.of_million(first) < number <= self.of_million(last)

    def networks(self):
        return "id label uuid cidr netmask broadcast bridge vlan multi_host deleted", (
            (n, f"net{n}", network_uuid(n), f"10.{n}.0.0/16", "255.255.0.0", f"10.{n}.255.255", f"br{100 + n}",
             100 + n, 1, 0)
            for n in range(1, 21))

    def services(self):
        return "id host binary topic report_count deleted", (
            (n, f"compute{n}", "nova-network", "network", 1, 0) for n in range(1, 1 + self.alive // 500))

    def instances(self):
        return "id created_at uuid hostname display_name host project_id vm_state deleted", (
            (n, ALIVE_SINCE, instance_uuid(n), f"vm{n}", f"vm{n}", self.host_of(n), f"p{n % 500}",
             "active" if n <= self.alive else "deleted", 0 if n <= self.alive else n)
            for n in range(1, 1 + 2 * self.alive))

    def virtual_interfaces(self):
        return "id address network_id uuid instance_uuid deleted", (
            (n, mac(n), self.network_of(n), vif_uuid(n), instance_uuid(n), n if n > self.alive and n % 1000 else 0)
            for n in range(1, 1 + 2 * self.alive))

    def address(self, fixed):
        """One in so many stands outside its network."""
        if self.among(fixed, 400_000, 400_050):
            return f"192.168.{fixed % 200}.{fixed // 200 % 200}"
        at = (fixed - 1) % self.each
        return f"10.{self.network_of(fixed)}.{at // 256}.{at % 256}"

    def owner(self, fixed):
        """Given, leaked to a deleted instance, not released, or nobody's."""
        if fixed <= self.alive:
            return instance_uuid(fixed)
        if self.among(fixed, 150_000, 150_100) or self.among(fixed, 250_000, 250_100):
            return instance_uuid(fixed - self.of_million(40_000))
        return None

    def vif_of(self, fixed):
        """None, another's, or its own."""
        if fixed > self.alive or self.among(fixed, 90_100, 90_150):
            return None
        return fixed + self.of_million(50) if self.among(fixed, 90_150, 90_200) else fixed

    def host_kept(self, fixed):
        if self.among(fixed, 90_050, 90_100):
            return "compute7"
        return "gone1" if self.among(fixed, 300_000, 300_050) else None

    def fixed_ips_table(self):
        def row(n):
            given = n <= self.alive
            allocated = given or self.among(n, 150_000, 150_100)
            leased = given or self.among(n, 200_000, 200_100)
            reserved = not given and n % self.each == 1 or self.among(n, 90_000, 90_050)
            return (n, ALIVE_SINCE, self.address(n), self.network_of(n), int(allocated), int(leased), int(reserved),
                    self.vif_of(n), self.host_kept(n), self.owner(n), 0)

        columns = ("id updated_at address network_id allocated leased reserved virtual_interface_id host "
                   "instance_uuid deleted")
        return columns, (row(n) for n in range(1, 1 + self.fixed_ips))

    def hangs_on(self, number):
        """Its instance's, a leaked one, none that is there, the same as another, or nothing."""
        tied = self.of_million(60_000)
        if number <= tied:
            return number
        if self.among(number, 60_000, 60_100):
            return self.of_million(150_000) + number - tied
        if self.among(number, 60_100, 60_150):
            return 5_000_000 + number
        return number - tied if self.among(number, 60_150, 60_200) else None

    def floating_host(self, number):
        if number <= self.of_million(60_200):
            return self.host_of(number if number % 1500 else number + 1)
        return "compute3" if number <= self.of_million(60_250) else None

    def floating_ips(self):
        def row(n):
            project = f"p{n % 500}" if n <= self.of_million(70_000) and n % 2000 else None
            return n, floating(n), self.hangs_on(n), project, self.floating_host(n), 0, "nova", 0

        return "id address fixed_ip_id project_id host auto_assigned pool deleted", (
            row(n) for n in range(1, 1 + self.fixed_ips // 10))

    def instance_info_caches(self):
        tied = self.of_million(60_000)

        def row(n):
            floats = [m for m in (n, n + tied) if m <= self.alive and self.hangs_on(m) == n]
            told = ", ".join(f'{{"address": "{floating(m)}", "type": "floating", "version": 4, "meta": {{}}}}'
                             for m in floats)
            address = self.address(n) if n % 997 else "10.9.9.9"
            info = (
                f'[{{"id": "{vif_uuid(n)}", "address": "{mac(n)}", "type": "bridge", "network": {{"id": '
                f'"{network_uuid(self.network_of(n))}", '
                '"bridge": "br100", "label": "net", "meta": {"multi_host": true}, "subnets": [{"cidr": '
                '"10.0.0.0/16", "version": 4, "gateway": {"address": "10.0.0.1", "type": "gateway", "version": 4, '
                '"meta": {}}, "dns": [{"address": "8.8.4.4", "type": "dns", "version": 4, "meta": {}}], "routes": '
                f'[], "ips": [{{"address": "{address}", "type": "fixed", "version": 4, "meta": {{}}, '
                f'"floating_ips": [{told}]}}], "meta": {{"dhcp_server": "10.0.0.1"}}}}]}}, "meta": {{}}}}]')
            return n, info, instance_uuid(n), 0

        return "id network_info instance_uuid deleted", (row(n) for n in range(1, 1 + self.alive))

    def security_groups(self):
        return "id name project_id deleted", (
            (n, "default", f"p{n}", 0 if n % 100 else n) for n in range(1, 501))

    def security_group_rules(self):
        return "id parent_group_id protocol from_port to_port group_id deleted", (
            (n, 1 + n % 500, "tcp", 1 + n, 1 + n, None if n % 3 else 1 + n * 7 % 500, 0)
            for n in range(1, 1 + self.of_million(20_000)))

    def security_group_instance_association(self):
        return "id security_group_id instance_uuid deleted", (
            (n, 1 + n % 500, instance_uuid(n), 0 if n <= self.alive else n) for n in range(1, 1 + 2 * self.alive))
