//! YAML of all roles, as written and checked
