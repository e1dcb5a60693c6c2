use super::lenient;

#[test]
fn what_can_be_read_of_an_unfinished_query_counts() {
    for (text, certain) in [
        ("", "{}"),
        ("{", "{}"),
        ("{ resource.service.name = `a` && span.http.", "{ (resource.service.name = `a`) }"),
        ("{ name = && kind = server }", "{ (kind = server) }"),
        ("{ .a = 1 && (.b = 2 || .c = ) && status = error", "{ (.a = 1) && (status = error) }"),
        ("{ .a = 1 || .b = }", "{}"),
        ("{ .a = 1 && .b = \"unfin", "{ (.a = 1) }"),
        ("{ .a = 1 } >> { .b = 2 }", "{ .a = 1 } >> { .b = 2 }"),
        ("{ .a = 1 } | rate(", "{ (.a = 1) }"),
        ("no query at all", "{}"),
    ] {
        assert_eq!(lenient(text).to_string(), certain, "{text}");
    }
}
