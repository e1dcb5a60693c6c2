//! Trees as text. Binary operations print with parentheses, so no precedence is needed to read them back.

use std::fmt::{self, Display, Formatter, Write};

use model::Matcher;

use super::*;
use crate::units::format_duration;

/// A string as LogQL reads it: Go's double-quoted form.
pub(crate) struct Quoted<'a>(pub &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_control() => write!(f, "\\u{:04x}", c as u32)?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

fn list<T>(
    f: &mut Formatter<'_>,
    items: &[T],
    mut item: impl FnMut(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (i, x) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        item(f, x)?;
    }
    Ok(())
}

fn matcher(f: &mut Formatter<'_>, m: &Matcher) -> fmt::Result {
    write!(f, "{}{}{}", m.name, m.op.as_str(), Quoted(&m.value))
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Log(e) => e.fmt(f),
            Expr::Metric(e) => e.fmt(f),
        }
    }
}

impl Display for LogExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        list(f, &self.matchers, matcher)?;
        f.write_str("}")?;
        self.stages.iter().try_for_each(|s| write!(f, " {s}"))
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Stage::Line(l) => l.fmt(f),
            Stage::Json(e) => {
                f.write_str("| json")?;
                extractions(f, e)
            }
            Stage::Logfmt { strict, keep_empty, extractions: e } => {
                f.write_str("| logfmt")?;
                if *strict {
                    f.write_str(" --strict")?;
                }
                if *keep_empty {
                    f.write_str(" --keep-empty")?;
                }
                extractions(f, e)
            }
            Stage::Regexp(p) => write!(f, "| regexp {}", Quoted(p)),
            Stage::Pattern(p) => write!(f, "| pattern {}", Quoted(p)),
            Stage::Unpack => f.write_str("| unpack"),
            Stage::Decolorize => f.write_str("| decolorize"),
            Stage::LineFormat(t) => write!(f, "| line_format {}", Quoted(t)),
            Stage::LabelFormat(formats) => {
                f.write_str("| label_format ")?;
                list(f, formats, |f, x| match &x.source {
                    FormatSource::Label(l) => write!(f, "{}={l}", x.label),
                    FormatSource::Template(t) => write!(f, "{}={}", x.label, Quoted(t)),
                })
            }
            Stage::Label(l) => write!(f, "| {l}"),
            Stage::Drop(c) => choices(f, "| drop ", c),
            Stage::Keep(c) => choices(f, "| keep ", c),
        }
    }
}

fn choices(f: &mut Formatter<'_>, what: &str, items: &[LabelChoice]) -> fmt::Result {
    f.write_str(what)?;
    list(f, items, |f, c| match c {
        LabelChoice::Name(n) => f.write_str(n),
        LabelChoice::Matching(m) => matcher(f, m),
    })
}

fn extractions(f: &mut Formatter<'_>, items: &[Extraction]) -> fmt::Result {
    if !items.is_empty() {
        f.write_str(" ")?;
    }
    list(f, items, |f, e| write!(f, "{}={}", e.label, Quoted(&e.path)))
}

impl Display for LineFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.as_str())?;
        for (i, a) in self.alternatives.iter().enumerate() {
            f.write_str(if i == 0 { " " } else { " or " })?;
            match a {
                LinePattern::Text(t) => Quoted(t).fmt(f)?,
                LinePattern::Ip(p) => write!(f, "ip({})", Quoted(p))?,
            }
        }
        Ok(())
    }
}

impl Display for LabelFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            LabelFilter::Text(m) => matcher(f, m),
            LabelFilter::Number { label, op, value } => write!(f, "{label}{}{value}", op.as_str()),
            LabelFilter::Duration { label, op, value_ns } => {
                write!(f, "{label}{}{}", op.as_str(), format_duration(*value_ns))
            }
            LabelFilter::Bytes { label, op, value } => write!(f, "{label}{}{value}B", op.as_str()),
            LabelFilter::Ip { label, negative, pattern } => {
                write!(f, "{label}{}ip({})", if *negative { "!=" } else { "=" }, Quoted(pattern))
            }
            LabelFilter::And(a, b) => write!(f, "( {a} and {b} )"),
            LabelFilter::Or(a, b) => write!(f, "( {a} or {b} )"),
        }
    }
}

impl Display for MetricExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            MetricExpr::Literal(v) => write!(f, "{v}"),
            MetricExpr::Vector(v) => write!(f, "vector({v})"),
            MetricExpr::Range(r) => r.fmt(f),
            MetricExpr::Aggregate(a) => a.fmt(f),
            MetricExpr::Binary(b) => b.fmt(f),
            MetricExpr::LabelReplace(l) => write!(
                f,
                "label_replace({},{},{},{},{})",
                l.inner,
                Quoted(&l.target),
                Quoted(&l.replacement),
                Quoted(&l.source),
                Quoted(&l.pattern)
            ),
            MetricExpr::Variants(v) => {
                f.write_str("variants(")?;
                list(f, &v.variants, |f, x| x.fmt(f))?;
                write!(f, ") of ({})", v.of)
            }
        }
    }
}

impl Display for RangeAggregation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.op.as_str())?;
        if let Some(p) = self.parameter {
            write!(f, "{p}, ")?;
        }
        write!(f, "{})", self.range)?;
        self.grouping.iter().try_for_each(|g| write!(f, " {g}"))
    }
}

impl Display for LogRange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.log.fmt(f)?;
        if let Some(u) = &self.unwrap {
            f.write_str(" | unwrap ")?;
            match u.conversion {
                None => f.write_str(&u.label)?,
                Some(c) => write!(f, "{}({})", c.as_str(), u.label)?,
            }
            u.filters.iter().try_for_each(|l| write!(f, " | {l}"))?;
        }
        write!(f, "[{}]", format_duration(self.range_ns))?;
        if self.offset_ns != 0 {
            write!(f, " offset {}", format_duration(self.offset_ns))?;
        }
        Ok(())
    }
}

impl Conversion {
    pub fn as_str(self) -> &'static str {
        match self {
            Conversion::Duration => "duration",
            Conversion::DurationSeconds => "duration_seconds",
            Conversion::Bytes => "bytes",
        }
    }
}

impl Display for Grouping {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", if self.without { "without" } else { "by" }, self.labels.join(", "))
    }
}

impl Display for VectorAggregation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.as_str())?;
        self.grouping.iter().try_for_each(|g| write!(f, " {g} "))?;
        f.write_str("(")?;
        if let Some(p) = self.parameter {
            write!(f, "{p}, ")?;
        }
        write!(f, "{})", self.inner)
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "({} {}", self.left, self.op.as_str())?;
        if self.return_bool {
            f.write_str(" bool")?;
        }
        if let Some(m) = &self.matching {
            write!(f, " {} ({})", if m.on { "on" } else { "ignoring" }, m.labels.join(", "))?;
            match &m.group {
                Group::None => {}
                Group::Left(l) => write!(f, " group_left ({})", l.join(", "))?,
                Group::Right(l) => write!(f, " group_right ({})", l.join(", "))?,
            }
        }
        write!(f, " {})", self.right)
    }
}
