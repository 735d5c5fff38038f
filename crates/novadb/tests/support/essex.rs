//! What is planted in the tables of later series, put into Essex's: rows are tied to instances by number, and `deleted`
//! is a flag.

/// Tables that are tied to instances, and those that are marked only.
const TIED: [&str; 3] = ["virtual_interfaces", "fixed_ips", "security_group_instance_association"];
const MARKED: [&str; 10] = [
    "networks",
    "instances",
    "virtual_interfaces",
    "fixed_ips",
    "floating_ips",
    "instance_info_caches",
    "security_groups",
    "security_group_rules",
    "security_group_instance_association",
    "services",
];

/// Statements that make Essex's tables of later ones, without indexes.
pub(crate) fn aged(later: &str) -> String {
    let statements = later.split_inclusive(";\n");
    let kept = statements.filter(|statement| !statement.trim_start().starts_with("CREATE INDEX"));
    let mut sql: String = kept.collect();
    for table in TIED {
        // A number that no instance has stands for a uuid that none has.
        sql.push_str(&format!(
            "ALTER TABLE {table} ADD COLUMN instance_id INTEGER;\n\
             UPDATE {table} SET instance_id = COALESCE((SELECT MIN(i.id) FROM instances i \
             WHERE i.uuid = {table}.instance_uuid), 99999) WHERE instance_uuid IS NOT NULL;\n\
             ALTER TABLE {table} DROP COLUMN instance_uuid;\n"
        ));
    }
    sql.push_str("ALTER TABLE instance_info_caches RENAME COLUMN instance_uuid TO instance_id;\n");
    for table in MARKED {
        sql.push_str(&format!(
            "ALTER TABLE {table} ADD COLUMN mark BOOLEAN;\n\
             UPDATE {table} SET mark = deleted <> 0;\n\
             ALTER TABLE {table} DROP COLUMN deleted;\n\
             ALTER TABLE {table} RENAME COLUMN mark TO deleted;\n"
        ));
    }
    sql
}
