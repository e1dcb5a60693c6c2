//! The functions of templates: Go's own, those Loki adds, and the part of Sprig that Loki documents.
//!
//! Argument order follows each function's origin: Loki's `Trim s cutset` puts the text first, Sprig's
//! `trimAll cutset s` last, so that it can be piped.

use super::{
    MAX_OUTPUT, Template,
    value::{Val, print_float},
};
use crate::pipeline::Row;

mod numbers;
mod text;

pub(super) struct Call<'a> {
    pub name: &'a str,
    pub args: Vec<Val>,
    pub template: &'a Template,
    pub row: &'a Row<'a>,
}

type Out = Result<Val, String>;

/// Every function with its least and most arguments.
const FUNCTIONS: &[(&str, usize, usize)] = &[
    // Go.
    ("and", 1, 99),
    ("or", 1, 99),
    ("not", 1, 1),
    ("eq", 2, 99),
    ("ne", 2, 2),
    ("lt", 2, 2),
    ("le", 2, 2),
    ("gt", 2, 2),
    ("ge", 2, 2),
    ("len", 1, 1),
    ("index", 1, 9),
    ("slice", 1, 3),
    ("print", 0, 99),
    ("println", 0, 99),
    ("printf", 1, 99),
    ("html", 1, 1),
    ("urlquery", 1, 1),
    // Loki.
    ("__line__", 0, 0),
    ("__timestamp__", 0, 0),
    ("ToLower", 1, 1),
    ("ToUpper", 1, 1),
    ("Replace", 4, 4),
    ("Trim", 2, 2),
    ("TrimLeft", 2, 2),
    ("TrimRight", 2, 2),
    ("TrimPrefix", 2, 2),
    ("TrimSuffix", 2, 2),
    ("TrimSpace", 1, 1),
    ("regexReplaceAll", 3, 3),
    ("regexReplaceAllLiteral", 3, 3),
    ("count", 2, 2),
    ("urldecode", 1, 1),
    ("urlencode", 1, 1),
    ("bytes", 1, 1),
    ("duration", 1, 1),
    ("duration_seconds", 1, 1),
    ("unixEpoch", 1, 1),
    ("unixEpochMillis", 1, 1),
    ("unixEpochNanos", 1, 1),
    ("unixToTime", 1, 1),
    ("toDateInZone", 3, 3),
    ("alignLeft", 2, 2),
    ("alignRight", 2, 2),
    // Sprig.
    ("b64enc", 1, 1),
    ("b64dec", 1, 1),
    ("lower", 1, 1),
    ("upper", 1, 1),
    ("title", 1, 1),
    ("trunc", 2, 2),
    ("substr", 3, 3),
    ("contains", 2, 2),
    ("hasPrefix", 2, 2),
    ("hasSuffix", 2, 2),
    ("indent", 2, 2),
    ("nindent", 2, 2),
    ("replace", 3, 3),
    ("repeat", 2, 2),
    ("trim", 1, 1),
    ("trimAll", 2, 2),
    ("trimSuffix", 2, 2),
    ("trimPrefix", 2, 2),
    ("int", 1, 1),
    ("float64", 1, 1),
    ("add", 2, 99),
    ("sub", 2, 2),
    ("mul", 2, 99),
    ("div", 2, 2),
    ("mod", 2, 2),
    ("addf", 2, 99),
    ("subf", 2, 99),
    ("mulf", 2, 99),
    ("divf", 2, 99),
    ("max", 1, 99),
    ("min", 1, 99),
    ("maxf", 1, 99),
    ("minf", 1, 99),
    ("ceil", 1, 1),
    ("floor", 1, 1),
    ("round", 2, 3),
    ("fromJson", 1, 1),
    ("date", 2, 2),
    ("toDate", 2, 2),
    ("now", 0, 0),
    ("default", 2, 2),
];

pub(super) fn exists(name: &str) -> bool {
    FUNCTIONS.iter().any(|(n, ..)| *n == name)
}

pub(super) fn call(c: &Call<'_>) -> Out {
    let (_, least, most) = FUNCTIONS
        .iter()
        .find(|(n, ..)| *n == c.name)
        .ok_or_else(|| format!("function {:?} not defined", c.name))?;
    if c.args.len() < *least || c.args.len() > *most {
        let want = if least == most { least.to_string() } else { format!("at least {least}") };
        return Err(format!("wrong number of args for {}: want {want} got {}", c.name, c.args.len()));
    }
    language(c)
        .or_else(|| text::call(c))
        .or_else(|| numbers::call(c))
        .or_else(|| numbers::times(c))
        .unwrap_or_else(|| Err(format!("not yet supported: template function {}", c.name)))
}

impl Call<'_> {
    fn s(&self, i: usize) -> String {
        match &self.args[i] {
            Val::Str(s) => s.clone(),
            Val::Nil => String::new(),
            v => v.print(),
        }
    }

    fn i(&self, i: usize) -> i64 {
        self.args[i].to_int()
    }
}

fn str_val(s: impl Into<String>) -> Option<Out> {
    Some(Ok(Val::Str(s.into())))
}

/// Go's own functions.
fn language(c: &Call<'_>) -> Option<Out> {
    let a = &c.args;
    Some(match c.name {
        "not" => Ok(Val::Bool(!a[0].is_true())),
        "and" => Ok(a.iter().find(|v| !v.is_true()).unwrap_or(&a[a.len() - 1]).clone()),
        "or" => Ok(a.iter().find(|v| v.is_true()).unwrap_or(&a[a.len() - 1]).clone()),
        "eq" => equal_any(a),
        "ne" => equal_any(a).map(|v| Val::Bool(!v.is_true())),
        "lt" => order(&a[0], &a[1]).map(|o| Val::Bool(o.is_lt())),
        "le" => order(&a[0], &a[1]).map(|o| Val::Bool(o.is_le())),
        "gt" => order(&a[0], &a[1]).map(|o| Val::Bool(o.is_gt())),
        "ge" => order(&a[0], &a[1]).map(|o| Val::Bool(o.is_ge())),
        "len" => match &a[0] {
            Val::Str(s) => Ok(Val::Int(s.len() as i64)),
            Val::List(l) => Ok(Val::Int(l.len() as i64)),
            Val::Map(m) => Ok(Val::Int(m.len() as i64)),
            v => Err(format!("len of type {}", v.print())),
        },
        "index" => a[1..].iter().try_fold(a[0].clone(), |v, key| match (&v, key) {
            (Val::Map(_), Val::Str(k)) => Ok(v.field(k).unwrap_or(Val::Nil)),
            (Val::List(l), Val::Int(i)) => usize::try_from(*i)
                .ok()
                .and_then(|i| l.get(i).cloned())
                .ok_or_else(|| format!("index out of range: {i}")),
            _ => Err(format!("can't index item of {}", v.print())),
        }),
        "slice" => match &a[0] {
            Val::Str(s) => {
                let from = a.get(1).map_or(0, Val::to_int);
                let to = a.get(2).map_or(s.len() as i64, Val::to_int);
                let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
                range
                    .and_then(|(f, t)| s.get(f..t))
                    .map(Val::from)
                    .ok_or_else(|| format!("slice index out of range: {from}:{to}"))
            }
            v => Err(format!("can't slice item of {}", v.print())),
        },
        "print" => Ok(Val::Str(sprint(a))),
        "println" => {
            let all: Vec<String> = a.iter().map(Val::print).collect();
            Ok(Val::Str(all.join(" ") + "\n"))
        }
        "printf" => printf(&c.s(0), &a[1..]).map(Val::Str),
        "default" => Ok(if a[1].is_true() { a[1].clone() } else { a[0].clone() }),
        // What is no JSON is nothing, as in Sprig: most lines of a stream may have none.
        "fromJson" => Ok(serde_json::from_str(&c.s(0)).map_or(Val::Nil, Val::from_json)),
        _ => return None,
    })
}

fn equal_any(a: &[Val]) -> Out {
    for other in &a[1..] {
        let same = match (&a[0], other) {
            (Val::Nil, Val::Nil) => true,
            (Val::Nil, _) | (_, Val::Nil) => false,
            (x, y) => order(x, y)?.is_eq(),
        };
        if same {
            return Ok(Val::Bool(true));
        }
    }
    Ok(Val::Bool(false))
}

fn order(a: &Val, b: &Val) -> Result<std::cmp::Ordering, String> {
    match (a, b) {
        (Val::Str(x), Val::Str(y)) => Ok(x.cmp(y)),
        (Val::Bool(x), Val::Bool(y)) => Ok(x.cmp(y)),
        (Val::Int(x), Val::Int(y)) => Ok(x.cmp(y)),
        (Val::Time(x, _), Val::Time(y, _)) => Ok(x.cmp(y)),
        (Val::Float(x), Val::Float(y)) => Ok(x.total_cmp(y)),
        _ => Err("incompatible types for comparison".to_owned()),
    }
}

/// A space between operands of which neither is a string, as `fmt.Sprint` does.
fn sprint(args: &[Val]) -> String {
    let mut out = String::new();
    for (i, v) in args.iter().enumerate() {
        if i > 0 && !matches!(v, Val::Str(_)) && !matches!(args[i - 1], Val::Str(_)) {
            out.push(' ');
        }
        out.push_str(&v.print());
    }
    out
}

/// `%v %s %d %f %q %x %t %e %g %%` with flags, width and precision.
fn printf(format: &str, args: &[Val]) -> Result<String, String> {
    let mut out = String::new();
    let mut args = args.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let (mut minus, mut zero, mut plus) = (false, false, false);
        while let Some(f) = chars.next_if(|c| "-0+ #".contains(*c)) {
            minus |= f == '-';
            zero |= f == '0';
            plus |= f == '+';
        }
        let mut number = || {
            let mut n = None;
            while let Some(d) = chars.next_if(char::is_ascii_digit) {
                let digit = d.to_digit(10).unwrap_or(0) as usize;
                n = Some((n.unwrap_or(0) * 10 + digit).min(MAX_OUTPUT));
            }
            n
        };
        let width = number().unwrap_or(0);
        let precision = if chars.next_if_eq(&'.').is_some() {
            let mut n = 0usize;
            while let Some(d) = chars.next_if(char::is_ascii_digit) {
                n = (n * 10 + d.to_digit(10).unwrap_or(0) as usize).min(1000);
            }
            Some(n)
        } else {
            None
        };
        let Some(verb) = chars.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let text = match args.next() {
            None => format!("%!{verb}(MISSING)"),
            Some(v) => formatted(v, verb, precision, plus),
        };
        pad(&mut out, &text, width, minus, zero && !minus);
        if out.len() > MAX_OUTPUT {
            return Err(format!("the result is longer than {MAX_OUTPUT} bytes"));
        }
    }
    Ok(out)
}

fn formatted(v: &Val, verb: char, precision: Option<usize>, plus: bool) -> String {
    let sign = |negative: bool| if plus && !negative { "+" } else { "" };
    match (verb, v) {
        ('d', Val::Int(i)) => format!("{}{i}", sign(*i < 0)),
        ('x', Val::Int(i)) => format!("{i:x}"),
        ('x', Val::Str(s)) => s.bytes().map(|b| format!("{b:02x}")).collect(),
        ('t', Val::Bool(b)) => b.to_string(),
        ('f' | 'F', Val::Float(f)) => format!("{}{f:.*}", sign(*f < 0.0), precision.unwrap_or(6)),
        ('e', Val::Float(f)) => format!("{f:.*e}", precision.unwrap_or(6)),
        ('g', Val::Float(f)) => print_float(*f),
        ('q', Val::Str(s)) => format!("{s:?}"),
        ('s' | 'v', v) => {
            let text = v.print();
            match (precision, verb) {
                (Some(n), 's') => text.chars().take(n).collect(),
                _ => text,
            }
        }
        (verb, v) => format!("%!{verb}({})", v.print()),
    }
}

fn pad(out: &mut String, text: &str, width: usize, left: bool, zero: bool) {
    let missing = width.saturating_sub(text.chars().count());
    if left {
        out.push_str(text);
        out.extend(std::iter::repeat_n(' ', missing));
    } else if zero && text.starts_with(['-', '+']) {
        out.push_str(&text[..1]);
        out.extend(std::iter::repeat_n('0', missing));
        out.push_str(&text[1..]);
    } else {
        out.extend(std::iter::repeat_n(if zero { '0' } else { ' ' }, missing));
        out.push_str(text);
    }
}
