//! What is certain of a query that is still being written, for those who complete it.
//!
//! Editors ask for values while the query is unfinished: `{ resource.service.name = "a" && span.http.` or
//! `{ name = && kind = server }`. Conditions that can be read count, those that cannot are left out, so that what is
//! proposed is too much rather than too little.

use crate::{
    Query,
    ast::{BinaryOp, Expr, FieldExpr, Pipeline, SpansetExpr, Stage},
    lex::{Placed, Token, lex},
    parse,
};

/// The query, where it is whole; else its first span filter with those conditions that are, else `{}`.
pub fn lenient(text: &str) -> Query {
    if let Ok(query) = parse(text) {
        return query;
    }
    let mut end = text.len().min(crate::parse::MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let conditions = text.get(..end).map(first_filter).unwrap_or_default();
    let filter = conditions.into_iter().reduce(|left, right| FieldExpr::Binary {
        op: BinaryOp::And,
        left: Box::new(left),
        right: Box::new(right),
    });
    let pipeline = Pipeline(vec![Stage::Spans(SpansetExpr::Filter(filter))]);
    Query { expr: Expr::Spans(pipeline), hints: Vec::new() }
}

/// The conditions of the first span filter that can be read. Conditions joined otherwise than by `&&` say nothing
/// alone.
fn first_filter(text: &str) -> Vec<FieldExpr> {
    let Some(open) = opening(text) else { return Vec::new() };
    let inner = text.get(open + 1..).unwrap_or_default();
    let tokens = readable(inner);
    let end =
        tokens.iter().position(|(t, _)| matches!(t, Token::Sym("}") | Token::End)).unwrap_or(tokens.len());
    let tokens = tokens.get(..end).unwrap_or_default();
    let mut found = Vec::new();
    for part in parts(tokens) {
        let (Some((_, first)), Some((_, last))) = (part.first(), part.last()) else { continue };
        let Some(condition) = inner.get(first.start..last.end) else { continue };
        if let Ok(Query { expr: Expr::Spans(p), .. }) = parse(&format!("{{ {condition} }}"))
            && let [Stage::Spans(SpansetExpr::Filter(Some(e)))] = p.0.as_slice()
            // A field alone is one whose comparison is still to come.
            && !matches!(e.bare(), FieldExpr::Field(_))
        {
            found.push(FieldExpr::Paren(Box::new(e.clone())));
        }
    }
    found
}

fn opening(text: &str) -> Option<usize> {
    readable(text).iter().find(|(t, _)| *t == Token::Sym("{")).map(|(_, r)| r.start)
}

/// Tokens up to the first text that is none.
fn readable(text: &str) -> Vec<Placed> {
    match lex(text) {
        Ok(tokens) => tokens,
        Err(e) => text.get(..e.span.start).and_then(|t| lex(t).ok()).unwrap_or_default(),
    }
}

/// What stands between `&&` outside of parentheses; nothing at all where an `||` stands there, too.
fn parts(tokens: &[Placed]) -> Vec<&[Placed]> {
    let mut depth = 0usize;
    let mut cuts = Vec::new();
    for (i, (token, _)) in tokens.iter().enumerate() {
        match token {
            Token::Sym("(") => depth += 1,
            Token::Sym(")") => depth = depth.saturating_sub(1),
            Token::Sym("||") if depth == 0 => return Vec::new(),
            Token::Sym("&&") if depth == 0 => cuts.push(i),
            _ => {}
        }
    }
    let starts = std::iter::once(0).chain(cuts.iter().map(|i| i + 1));
    let ends = cuts.iter().copied().chain([tokens.len()]);
    starts.zip(ends).filter_map(|(from, to)| tokens.get(from..to)).collect()
}

#[cfg(test)]
mod tests;
