use crate::{Experimental, ParserOptions, parse};

fn canonical(text: &str) -> String {
    let options = ParserOptions { experimental: Experimental::all(), ..Default::default() };
    parse(text, &options).unwrap().to_string()
}

#[test]
fn the_canonical_text_is_that_of_prometheus() {
    for (text, want) in [
        ("sum(a) by(x,y)", "sum by (x, y) (a)"),
        ("sum without() (a{b='c'})", "sum without () (a{b=\"c\"})"),
        ("topk by () (5, a)", "topk(5, a)"),
        ("a+b*-c ^ 2", "a + b * -c ^ 2"),
        ("a == bool on(x) group_left(y) b", "a == bool on (x) group_left (y) b"),
        ("rate(a[300] @ 1.5 offset -5m)", "rate(a[5m] @ 1.500 offset -5m)"),
        ("max_over_time(a[1h:] offset 1w)", "max_over_time(a[1h:] offset 1w)"),
        ("{\"my.metric\", a=~\"b\"}", "{__name__=\"my.metric\",a=~\"b\"}"),
        ("{\"my label\"=\"x\"}", "{\"my label\"=\"x\"}"),
        ("a + fill_left(-1) fill_right(2) b", "a + fill_left (-1) fill_right (2) b"),
        ("a + fill(3) b", "a + fill (3) b"),
        ("rate(a[5m] smoothed)", "rate(a[5m] smoothed)"),
        ("a[step()+1m]", "a[step() + 1m]"),
        ("a offset -(1h/2)", "a offset -(1h / 2)"),
        ("-1 + 0x10", "-1 + 16"),
        ("a </ 3", "a </ 3"),
    ] {
        assert_eq!(canonical(text), want, "{text}");
    }
}

#[test]
fn a_long_query_is_broken_at_operators_and_parentheses() {
    let long = format!(
        "sum by (job) (rate({}[5m])) / on (job) group_left () count({})",
        "a".repeat(60),
        "b".repeat(60)
    );
    let options = ParserOptions::default();
    let e = parse(&long, &options).unwrap();
    let pretty = e.pretty();
    assert_eq!(pretty.lines().count(), 3);
    assert!(pretty.lines().all(|l| l.len() <= 100));
    assert_eq!(parse(&pretty, &options).unwrap(), e);
    let chain = format!("metric{}", " + metric".repeat(499));
    let e = parse(&chain, &options).unwrap();
    assert_eq!(parse(&e.pretty(), &options).unwrap(), e);
}
