//! What an expression can ask of a span: attributes and intrinsics.

use std::fmt;

/// Where an attribute lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Of the span, else of its resource, events, links or instrumentation scope: the first that has it.
    Any,
    Span,
    Resource,
    Event,
    Link,
    Instrumentation,
}

impl Scope {
    pub const ALL: [Scope; 6] =
        [Scope::Any, Scope::Span, Scope::Resource, Scope::Event, Scope::Link, Scope::Instrumentation];

    /// The word before the point; empty for [`Scope::Any`].
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Any => "",
            Scope::Span => "span",
            Scope::Resource => "resource",
            Scope::Event => "event",
            Scope::Link => "link",
            Scope::Instrumentation => "instrumentation",
        }
    }
}

/// What every span, event, link, instrumentation scope or trace has of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Intrinsic {
    Duration,
    Name,
    Status,
    StatusMessage,
    Kind,
    SpanId,
    ParentId,
    ChildCount,
    NestedSetLeft,
    NestedSetRight,
    NestedSetParent,
    TraceId,
    TraceDuration,
    RootName,
    RootServiceName,
    EventName,
    EventTimeSinceStart,
    LinkTraceId,
    LinkSpanId,
    InstrumentationName,
    InstrumentationVersion,
}

/// Word without scope, scope and word, both as they are written. An empty one is none.
const INTRINSICS: [(Intrinsic, &str, &str); 21] = [
    (Intrinsic::Duration, "duration", "span:duration"),
    (Intrinsic::Name, "name", "span:name"),
    (Intrinsic::Status, "status", "span:status"),
    (Intrinsic::StatusMessage, "statusMessage", "span:statusMessage"),
    (Intrinsic::Kind, "kind", "span:kind"),
    (Intrinsic::SpanId, "", "span:id"),
    (Intrinsic::ParentId, "", "span:parentID"),
    (Intrinsic::ChildCount, "childCount", "span:childCount"),
    (Intrinsic::NestedSetLeft, "nestedSetLeft", ""),
    (Intrinsic::NestedSetRight, "nestedSetRight", ""),
    (Intrinsic::NestedSetParent, "nestedSetParent", ""),
    (Intrinsic::TraceId, "", "trace:id"),
    (Intrinsic::TraceDuration, "traceDuration", "trace:duration"),
    (Intrinsic::RootName, "rootName", "trace:rootName"),
    (Intrinsic::RootServiceName, "rootServiceName", "trace:rootService"),
    (Intrinsic::EventName, "", "event:name"),
    (Intrinsic::EventTimeSinceStart, "", "event:timeSinceStart"),
    (Intrinsic::LinkTraceId, "", "link:traceID"),
    (Intrinsic::LinkSpanId, "", "link:spanID"),
    (Intrinsic::InstrumentationName, "", "instrumentation:name"),
    (Intrinsic::InstrumentationVersion, "", "instrumentation:version"),
];

impl Intrinsic {
    pub fn all() -> impl Iterator<Item = Intrinsic> {
        INTRINSICS.iter().map(|(i, _, _)| *i)
    }

    /// By either of its words: `duration`, `span:duration`.
    pub fn parse(word: &str) -> Option<Intrinsic> {
        let known = |w: &str| !w.is_empty() && w == word;
        INTRINSICS.iter().find(|(_, bare, scoped)| known(bare) || known(scoped)).map(|(i, _, _)| *i)
    }

    /// As answers name it: without a scope where that is how it is known, else with it.
    pub fn as_str(self) -> &'static str {
        let (bare, scoped) = self.words();
        match self {
            Intrinsic::ChildCount => scoped,
            _ if bare.is_empty() => scoped,
            _ => bare,
        }
    }

    /// With its scope where it has a form with one: `span:duration`, `nestedSetLeft`.
    pub fn scoped(self) -> &'static str {
        let (bare, scoped) = self.words();
        if scoped.is_empty() { bare } else { scoped }
    }

    fn words(self) -> (&'static str, &'static str) {
        INTRINSICS.iter().find(|(i, _, _)| *i == self).map_or(("", ""), |(_, bare, scoped)| (bare, scoped))
    }

    /// Whether only the whole trace says it.
    pub fn of_trace(self) -> bool {
        matches!(
            self,
            Intrinsic::ChildCount
                | Intrinsic::NestedSetLeft
                | Intrinsic::NestedSetRight
                | Intrinsic::NestedSetParent
                | Intrinsic::TraceDuration
                | Intrinsic::RootName
                | Intrinsic::RootServiceName
        )
    }

    /// Hexadecimal ids are compared as numbers are: case and leading zeros do not matter.
    pub fn is_id(self) -> bool {
        matches!(
            self,
            Intrinsic::SpanId
                | Intrinsic::ParentId
                | Intrinsic::TraceId
                | Intrinsic::LinkTraceId
                | Intrinsic::LinkSpanId
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    Intrinsic(Intrinsic),
    Attribute {
        scope: Scope,
        /// Of the parent span, not of the span itself.
        parent: bool,
        name: String,
    },
    /// `parent`: the id of the parent span, absent from root spans.
    Parent,
}

impl Field {
    pub fn attribute(scope: Scope, name: impl Into<String>) -> Self {
        Field::Attribute { scope, parent: false, name: name.into() }
    }

    /// Without its scope, as spans of an answer carry it: `service.name`, `status`.
    pub fn name(&self) -> &str {
        match self {
            Field::Intrinsic(i) => i.as_str(),
            Field::Attribute { name, .. } => name,
            Field::Parent => "parent",
        }
    }

    /// Whether only the whole trace says it.
    pub fn of_trace(&self) -> bool {
        match self {
            Field::Intrinsic(i) => i.of_trace(),
            Field::Attribute { parent, .. } => *parent,
            Field::Parent => false,
        }
    }
}

/// Whether an attribute's name may hold it outside of quotes.
pub(crate) fn is_attribute_char(c: char) -> bool {
    !c.is_whitespace()
        && !matches!(c, '{' | '}' | '(' | ')' | '=' | '~' | '!' | '<' | '>' | '&' | '|' | '^' | ',')
}

impl fmt::Display for Field {
    /// As a query writes it, scope included: `resource.service.name`, `.a`, `span."with space"`, `status`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Field::Attribute { scope, parent, name } = self else { return f.write_str(self.name()) };
        if *parent {
            f.write_str("parent")?;
            if *scope != Scope::Any {
                f.write_str(".")?;
            }
        }
        f.write_str(scope.as_str())?;
        f.write_str(".")?;
        // After `parent.` a bare `span.` or `resource.` would be read as a scope.
        let scope_like = *parent
            && *scope == Scope::Any
            && Scope::ALL.iter().any(|s| {
                *s != Scope::Any && name.strip_prefix(s.as_str()).is_some_and(|r| r.starts_with('.'))
            });
        let starts_as_number =
            *scope == Scope::Any && !*parent && name.starts_with(|c: char| c.is_ascii_digit());
        if name.chars().all(|c| is_attribute_char(c) && c != '"')
            && !scope_like
            && !starts_as_number
            && !name.is_empty()
        {
            return f.write_str(name);
        }
        f.write_str("\"")?;
        for c in name.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}
