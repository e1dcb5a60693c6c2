use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

fn options(limits: &Limits) -> ScrapeOptions<'_> {
    ScrapeOptions { strict: true, created_series: false, ..ScrapeOptions::new(1000, limits) }
}

fn text(body: &str) -> Exposition {
    parse_text(body.as_bytes(), &options(&Limits::default())).unwrap()
}

fn om(body: &str) -> Exposition {
    parse_openmetrics(body.as_bytes(), &options(&Limits::default())).unwrap()
}

fn lines(e: &Exposition) -> Vec<String> {
    let s = &e.batch.samples;
    (0..s.len())
        .map(|i| {
            let labels = &e.batch.series[s.series[i] as usize];
            format!("{labels} {} {}", s.value[i], s.timestamp_ms[i])
        })
        .collect()
}

#[test]
fn samples_carry_labels_values_and_times() {
    let e = text(
        "a{b=\"c\",} 1\na{ b = \"x\\\"\\n\\\\\" } +Inf 5\n{\"my.metric\",\"my.label\"=\"v\"}\t3\r\nlast NaN",
    );
    assert_eq!(
        lines(&e),
        [
            "a{b=\"c\"} 1 1000",
            "a{b=\"x\\\"\\n\\\\\"} inf 5",
            "{\"my.metric\", \"my.label\"=\"v\"} 3 1000",
            "last NaN 1000"
        ]
    );
    assert_eq!(e.timed, [false, true, false, false]);
}

#[test]
fn metadata_is_kept_per_family() {
    let e = text(
        "# HELP a some \\\\ help\\nhere\n# TYPE a histogram\n# plain comment\n# TYPE b untyped\na_count 1\n",
    );
    assert_eq!(e.batch.metadata.len(), 2);
    assert_eq!(e.batch.metadata[0].help, "some \\ help\nhere");
    assert_eq!(e.batch.metadata[0].kind, MetricKind::Histogram);
    assert_eq!(e.batch.metadata[1].kind, MetricKind::Unknown);
}

#[test]
fn errors_name_the_line() {
    let limits = Limits::default();
    for (body, line) in [
        ("a 1\nb x\n", 2),
        ("a{", 1),
        ("a{b=\"c} 1", 1),
        ("a 1\n\na{b=\"1\",b=\"2\"} 1", 3),
        ("# TYPE a meh", 1),
    ] {
        match parse_text(body.as_bytes(), &options(&limits)).unwrap_err() {
            Error::Exposition { line: l, .. } => assert_eq!(l, line, "{body}"),
            other => panic!("{other}"),
        }
    }
    let err = parse_text(b"a 1\nb{c=\"\xff\"} 1", &options(&limits)).unwrap_err();
    assert_eq!(err.to_string(), "line 2 of the exposition: the text is not UTF-8");
    let long = format!("a{{{}=\"1\"}} 1", "x".repeat(1 << 20));
    assert!(
        parse_text(long.as_bytes(), &options(&limits))
            .unwrap_err()
            .to_string()
            .contains("ingest.max_label_name")
    );
}

#[test]
fn without_honoured_times_every_sample_has_the_time_of_the_scrape() {
    let limits = Limits::default();
    let o = ScrapeOptions { honor_timestamps: false, ..options(&limits) };
    let e = parse_text(b"a 1 77\n", &o).unwrap();
    assert_eq!(lines(&e), ["a 1 1000"]);
    assert_eq!(e.timed, [false]);
}

#[test]
fn created_lines_become_start_times_and_exemplars_are_kept() {
    let e = om(
        "# TYPE a counter\na_total{x=\"1\"} 1 9.5 # {trace_id=\"t\"} 0.5 9.25\na_created{x=\"1\"} 4.5 9.5\n\
                a_total{x=\"2\"} 2\n# EOF\n",
    );
    assert_eq!(lines(&e), ["a_total{x=\"1\"} 1 9500", "a_total{x=\"2\"} 2 1000"]);
    assert_eq!(e.batch.samples.start_ms, [4500, 0]);
    assert_eq!(e.batch.exemplars.len(), 1);
    assert_eq!(e.batch.exemplars[0].1.timestamp_ms, 9250);
    assert_eq!(e.batch.metadata[0].family, "a_total");
}

fn data(dir: &str) -> Option<PathBuf> {
    let path = Path::new(env!("ORRERY_CHECKOUT")).join("../shared/data").join(dir);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {dir} is not beside the repository");
    None
}

/// Cases of the OpenMetrics suite that we read otherwise than it says, with the reason.
const ALLOWED: [(&str, &str); 0] = [];

#[test]
fn the_openmetrics_suite_agrees() {
    let Some(dir) = data("openmetrics-parse") else { return };
    let (mut agreed, mut total, mut differ) = (0, 0, Vec::new());
    let mut cases: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    cases.sort();
    for case in cases.iter().filter(|c| c.join("test.json").exists()) {
        let body = std::fs::read(case.join("metrics")).unwrap();
        let expect = std::fs::read_to_string(case.join("test.json")).unwrap().replace(' ', "");
        let should = expect.contains("\"shouldParse\":true");
        let limits = Limits::default();
        let got = parse_openmetrics(&body, &options(&limits));
        total += 1;
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        if got.is_ok() == should {
            agreed += 1;
        } else if !ALLOWED.iter().any(|(n, _)| *n == name) {
            differ.push(format!("{name}: wanted {should}, {:?}", got.err()));
        }
    }
    println!("openmetrics suite: {agreed} of {total} agree, {} allowed differences", ALLOWED.len());
    assert!(differ.is_empty(), "{differ:#?}");
}

#[test]
fn real_expositions_are_read_whole() {
    let (mut files, mut samples) = (0, 0);
    for dir in ["k8s-exposition", "exporters", "gpu", "prom-textparse"] {
        let Some(dir) = data(dir) else { continue };
        let mut stack = vec![dir];
        while let Some(d) = stack.pop() {
            for entry in std::fs::read_dir(d).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    stack.push(path);
                    continue;
                }
                let name = path.to_string_lossy().into_owned();
                let skip = [".md", ".json", ".csv", ".yaml", ".yml", ".xml"];
                if skip.iter().any(|e| name.ends_with(e)) {
                    continue;
                }
                let body = std::fs::read(&path).unwrap();
                let limits = Limits::default();
                let o = ScrapeOptions::new(1000, &limits);
                let ends = body.windows(5).rev().take(8).any(|w| w == b"# EOF");
                let got = if ends { parse_openmetrics(&body, &o) } else { parse_text(&body, &o) };
                if body.windows(4).any(|w| w == b"...," || w == b"...}") {
                    // Its author wrote dots where labels stood, which Prometheus refuses too.
                    assert!(got.is_err(), "{name}");
                    continue;
                }
                match got {
                    Ok(e) => samples += e.batch.item_count(),
                    Err(e) => panic!("{name}: {e}"),
                }
                files += 1;
            }
        }
    }
    println!("real expositions: {files} files, {samples} samples");
}

proptest! {
    #[test]
    fn random_text_never_panics(body in "[a-c{}=\",#\\\\ \n0-9.eE+NTHU-]{0,200}", raw in proptest::collection::vec(any::<u8>(), 0..200)) {
        let limits = Limits::default();
        for strict in [false, true] {
            let o = ScrapeOptions { strict, ..options(&limits) };
            let _ = parse_text(body.as_bytes(), &o);
            let _ = parse_openmetrics(body.as_bytes(), &o);
            let _ = parse_text(&raw, &o);
            let _ = parse_openmetrics(&raw, &o);
        }
    }

    #[test]
    fn what_is_written_in_text_is_read_back(value in any::<f64>().prop_filter("NaN is checked elsewhere", |v| !v.is_nan()), label in "\\PC{0,20}", t in any::<i64>()) {
        let escaped = label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let e = text(&format!("m{{l=\"{escaped}\"}} {value:?} {t}\n"));
        prop_assert_eq!(e.batch.samples.value[0].to_bits(), value.to_bits());
        prop_assert_eq!(e.batch.samples.timestamp_ms[0], t);
        prop_assert_eq!(e.batch.series[0].value("l"), label.as_str());
    }
}

/// As the scraper reads: no stricter than Prometheus.
fn scraped(body: &str) -> Result<Exposition, Error> {
    let limits = Limits::default();
    parse_openmetrics(body.as_bytes(), &ScrapeOptions::new(1000, &limits))
}

#[test]
fn bounds_and_quantiles_are_written_one_way() {
    let body = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1e6\"} 1\nh_bucket{le=\"+Inf\"} 1\n\
                # TYPE s summary\ns{quantile=\"1\"} 2\ns{le=\"1\"} 2\n# TYPE g gauge\ng{le=\"1\"} 1\n";
    let e = text(body);
    let names: Vec<_> = e.batch.series.iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "h_bucket{le=\"1.0\"}",
            "h_bucket{le=\"1e+06\"}",
            "h_bucket{le=\"+Inf\"}",
            "s{quantile=\"1.0\"}",
            "s{le=\"1\"}",
            "g{le=\"1\"}"
        ]
    );
    assert_eq!(scraped(&format!("{body}# EOF\n")).unwrap().batch.series, e.batch.series);
}

#[test]
fn created_lines_are_also_series_unless_told_otherwise() {
    let e = scraped("# TYPE a counter\na_total 1\na_created 4.5\n# EOF\n").unwrap();
    assert_eq!(lines(&e), ["a_total 1 1000", "a_created 4.5 1000"]);
    assert_eq!(e.batch.samples.start_ms, [4500, 0]);
}

#[test]
fn a_scrape_is_read_as_leniently_as_prometheus_reads_it() {
    for body in [
        "# TYPE a counter\n# TYPE a counter\na_total 1\n# EOF\n",
        "# TYPE a counter\na_total 1\n# HELP a late\na_total{b=\"c\"} 1\n# EOF\n",
        "a{b=\"c\",} 1\n# EOF",
        "# TYPE a gauge\na 1 # {x=\"y\"} 1\n# EOF\n",
        "# TYPE a counter\na_total -1\n# EOF\n",
    ] {
        assert!(scraped(body).is_ok(), "{body}: {:?}", scraped(body).err());
        assert!(parse_openmetrics(body.as_bytes(), &options(&Limits::default())).is_err(), "{body}");
    }
    for body in ["# UNIT a seconds\n# EOF\n", "# TYPE a untyped\n# EOF\n", "a  1\n# EOF\n", "a 1\n"] {
        assert!(scraped(body).is_err(), "{body}");
    }
    assert_eq!(lines(&text("a{b=\"1\" c=\"2\"} 3\n")), ["a{b=\"1\", c=\"2\"} 3 1000"], "text needs no comma");
}

#[test]
fn an_exemplar_that_is_too_long_costs_only_itself() {
    let body = format!("# TYPE a counter\na_total 1 # {{t=\"{}\"}} 1\n# EOF\n", "x".repeat(200));
    let e = scraped(&body).unwrap();
    assert_eq!((e.batch.samples.len(), e.batch.exemplars.len(), e.refused.total()), (1, 0, 1));
}
