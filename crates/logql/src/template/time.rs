//! Times in Go's layouts: an example date (`2006-01-02T15:04:05.000Z07:00`) instead of a pattern language.

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Longer parts before their prefixes.
const PARTS: [&str; 26] = [
    "January", "Jan", "Monday", "Mon", "MST", "2006", "Z07:00", "Z0700", "-07:00", "-0700", "-07", "15",
    "01", "02", "03", "04", "05", "06", "_2", "PM", "pm", "1", "2", "3", "4", "5",
];

/// Days since 1970 to year, month (1-12), day. Howard Hinnant's civil calendar algorithm.
fn civil(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month as u32, (doy - (153 * mp + 2) / 5 + 1) as u32)
}

fn days(year: i64, month: u32, day: u32) -> i64 {
    let y = year - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let m = i64::from(month);
    let doy = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// The part of the layout at its start: a name of [`PARTS`] or a fraction (`.000`, `,999`), with its length.
fn part(layout: &str) -> Option<(&str, usize)> {
    let bytes = layout.as_bytes();
    if let [b'.' | b',', d @ (b'0' | b'9'), ..] = bytes {
        let digits = bytes[1..].iter().take_while(|b| *b == d).count();
        if !bytes.get(1 + digits).is_some_and(u8::is_ascii_digit) {
            return Some((&layout[..1 + digits], 1 + digits));
        }
    }
    PARTS.iter().find(|p| layout.starts_with(**p)).map(|p| (*p, p.len()))
}

/// `ns` since 1970, in a zone `offset` seconds east of Greenwich.
pub(super) fn format(ns: i64, offset: i32, layout: &str) -> String {
    let local = i128::from(ns) + i128::from(offset) * 1_000_000_000;
    let seconds = local.div_euclid(1_000_000_000) as i64;
    let nanos = local.rem_euclid(1_000_000_000) as u32;
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, dom) = civil(day);
    let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
    let h12 = if h % 12 == 0 { 12 } else { h % 12 };
    let weekday = DAYS[(day + 4).rem_euclid(7) as usize];
    let month_name = MONTHS[(month as usize + 11) % 12];
    let mut out = String::new();
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        let Some((name, len)) = part(rest) else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        rest = &rest[len..];
        out.push_str(&match name {
            "2006" => format!("{year:04}"),
            "06" => format!("{:02}", year.rem_euclid(100)),
            "January" => month_name.to_owned(),
            "Jan" => month_name[..3].to_owned(),
            "01" => format!("{month:02}"),
            "1" => month.to_string(),
            "Monday" => weekday.to_owned(),
            "Mon" => weekday[..3].to_owned(),
            "02" => format!("{dom:02}"),
            "_2" => format!("{dom:2}"),
            "2" => dom.to_string(),
            "15" => format!("{h:02}"),
            "03" => format!("{h12:02}"),
            "3" => h12.to_string(),
            "04" => format!("{m:02}"),
            "4" => m.to_string(),
            "05" => format!("{s:02}"),
            "5" => s.to_string(),
            "PM" => if h >= 12 { "PM" } else { "AM" }.to_owned(),
            "pm" => if h >= 12 { "pm" } else { "am" }.to_owned(),
            "MST" => {
                if offset == 0 {
                    "UTC".to_owned()
                } else {
                    zone(offset, "")
                }
            }
            "Z07:00" | "Z0700" if offset == 0 => "Z".to_owned(),
            "Z07:00" | "-07:00" => zone(offset, ":"),
            "Z0700" | "-0700" => zone(offset, ""),
            "-07" => zone(offset, "")[..3].to_owned(),
            fraction => {
                let digits = fraction.len() - 1;
                let all = format!("{nanos:09}");
                let cut = &all[..digits.min(9)];
                if fraction.ends_with('9') {
                    let cut = cut.trim_end_matches('0');
                    if cut.is_empty() { String::new() } else { format!("{}{cut}", &fraction[..1]) }
                } else {
                    format!("{}{cut}", &fraction[..1])
                }
            }
        });
    }
    out
}

fn zone(offset: i32, colon: &str) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.unsigned_abs() / 60;
    format!("{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60)
}

/// Reads a time by its layout: nanoseconds since 1970 and the zone's offset; `None` where it does not fit.
pub(super) fn parse(layout: &str, text: &str) -> Option<(i64, i32)> {
    let (mut year, mut month, mut day) = (1970i64, 1u32, 1u32);
    let (mut h, mut m, mut s, mut nanos) = (0i64, 0i64, 0i64, 0i64);
    let (mut pm, mut offset) = (None, 0i32);
    let (mut layout, mut rest) = (layout, text);
    while let Some(c) = layout.chars().next() {
        let Some((name, len)) = part(layout) else {
            rest = rest.strip_prefix(c)?;
            layout = &layout[c.len_utf8()..];
            // Go reads a fraction after the seconds even where the layout has none.
            continue;
        };
        layout = &layout[len..];
        match name {
            "2006" => year = digits(&mut rest, 4, 4)?,
            "06" => {
                let y = digits(&mut rest, 2, 2)?;
                year = if y >= 69 { 1900 + y } else { 2000 + y };
            }
            "January" | "Jan" => {
                let full = name == "January";
                let at = MONTHS.iter().position(|n| rest.starts_with(if full { n } else { &n[..3] }))?;
                rest = &rest[if full { MONTHS[at].len() } else { 3 }..];
                month = at as u32 + 1;
            }
            "Monday" | "Mon" => {
                let full = name == "Monday";
                let at = DAYS.iter().position(|n| rest.starts_with(if full { n } else { &n[..3] }))?;
                rest = &rest[if full { DAYS[at].len() } else { 3 }..];
            }
            "01" | "1" => month = digits(&mut rest, name.len(), 2)? as u32,
            "02" | "2" => day = digits(&mut rest, name.len(), 2)? as u32,
            "_2" => {
                rest = rest.trim_start_matches(' ');
                day = digits(&mut rest, 1, 2)? as u32;
            }
            "15" => h = digits(&mut rest, 2, 2)?,
            "03" | "3" => h = digits(&mut rest, name.len(), 2)?,
            "04" | "4" => m = digits(&mut rest, name.len(), 2)?,
            "05" | "5" => {
                s = digits(&mut rest, name.len(), 2)?;
                if part(layout).is_none_or(|(p, _)| !p.starts_with(['.', ','])) && rest.starts_with('.') {
                    nanos = fraction(&mut rest)?;
                }
            }
            "PM" | "pm" => {
                let (half, after) = rest.split_at_checked(2)?;
                pm = Some(match half.to_ascii_lowercase().as_str() {
                    "pm" => true,
                    "am" => false,
                    _ => return None,
                });
                rest = after;
            }
            "MST" => {
                let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
                if !matches!(&rest[..end], "UTC" | "GMT" | "Z") {
                    return None;
                }
                rest = &rest[end..];
            }
            "Z07:00" | "Z0700" if rest.starts_with('Z') => rest = &rest[1..],
            "Z07:00" | "Z0700" | "-07:00" | "-0700" | "-07" => offset = read_zone(&mut rest, name)?,
            _ if rest.starts_with(['.', ',']) => nanos = fraction(&mut rest)?,
            p if p.ends_with('9') => {}
            _ => return None,
        }
    }
    if let Some(pm) = pm {
        h = h % 12 + if pm { 12 } else { 0 };
    }
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && h < 24 && m < 60 && s < 61;
    if !rest.is_empty() || !in_range {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + h * 3600 + m * 60 + s - i64::from(offset);
    Some((seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?, offset))
}

fn digits(rest: &mut &str, least: usize, most: usize) -> Option<i64> {
    let n = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if n < least {
        return None;
    }
    let (number, after) = rest.split_at(n);
    *rest = after;
    number.parse().ok()
}

fn fraction(rest: &mut &str) -> Option<i64> {
    let text = &rest[1..];
    let n = text.bytes().take_while(u8::is_ascii_digit).count();
    *rest = &text[n..];
    if n == 0 {
        return None;
    }
    format!("{:0<9}", &text[..n.min(9)]).parse().ok()
}

fn read_zone(rest: &mut &str, layout: &str) -> Option<i32> {
    let sign = match rest.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    *rest = &rest[1..];
    let hours = digits(rest, 2, 2)?;
    let mut minutes = 0;
    if layout != "-07" {
        if layout.contains(':') {
            *rest = rest.strip_prefix(':')?;
        }
        minutes = digits(rest, 2, 2)?;
    }
    Some(sign * (hours * 3600 + minutes * 60) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_print_and_read_back() {
        let ns = 1_700_000_000_123_456_789;
        for (layout, text) in [
            ("2006-01-02T15:04:05.000000000Z07:00", "2023-11-14T22:13:20.123456789Z"),
            ("2006-01-02 15:04:05", "2023-11-14 22:13:20"),
            ("Jan 2, 2006 at 3:04pm (MST)", "Nov 14, 2023 at 10:13pm (UTC)"),
            ("Mon, 02 Jan 2006 15:04:05 -0700", "Tue, 14 Nov 2023 22:13:20 +0000"),
            ("2006-01-02T15:04:05.999Z07:00", "2023-11-14T22:13:20.123Z"),
        ] {
            assert_eq!(format(ns, 0, layout), text);
            let (read, _) = parse(layout, text).unwrap_or_else(|| panic!("{text}"));
            assert!((ns - read) < 60_000_000_000, "{layout}: {read}");
        }
        assert_eq!(
            parse("2006-01-02T15:04:05Z07:00", "2023-11-14T23:13:20+01:00"),
            Some((1_700_000_000_000_000_000, 3600))
        );
        assert_eq!(parse("2006-01-02", "2023-13-01"), None);
        assert_eq!(format(0, 0, "2006-01-02 Monday"), "1970-01-01 Thursday");
        assert_eq!(format(951_782_400_000_000_000, 0, "Jan _2 06"), "Feb 29 00");
    }
}
