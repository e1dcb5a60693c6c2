//! Stages between `|`, and what stands in parentheses.

use super::{Parser, node::Node};
use crate::{
    ast::{MetricsExpr, Pipeline, ScalarExpr, SecondStage, SpansetExpr, Stage},
    check,
    error::ParseError,
    lex::Token,
};

/// What a whole pipeline comes to.
pub(super) enum Piped {
    Pipeline(Pipeline),
    /// Ends in a number that is not compared. The stages before it may be none.
    Scalar(Pipeline, ScalarExpr),
    Metrics(MetricsExpr),
}

impl Parser<'_> {
    pub(super) fn pipe(&mut self) -> Result<Piped, ParseError> {
        let mut stages = Vec::new();
        let mut metrics: Option<MetricsExpr> = None;
        loop {
            let from = self.at;
            let node = self.node(1)?;
            if let Some(inner) = metrics.take() {
                let Node::Second(chain) = node else {
                    let message = "only topk, bottomk and comparisons can follow what makes series";
                    return Err(self.error_from(from, message));
                };
                metrics = Some(then(inner, chain));
            } else {
                match node {
                    Node::Scalar(e) if self.is("|") => {
                        let _ = e;
                        return Err(
                            self.error_from(from, "an aggregate must be compared before the next stage")
                        );
                    }
                    Node::Scalar(e) => return Ok(Piped::Scalar(Pipeline(stages), e)),
                    Node::Metrics(m) if stages.is_empty() => metrics = Some(m),
                    Node::Function(function, chain) if !stages.is_empty() => {
                        let pipeline = Pipeline(std::mem::take(&mut stages));
                        metrics = Some(then(MetricsExpr::Query { pipeline, function }, chain));
                    }
                    node => stages.push(self.stage(node, stages.is_empty(), from)?),
                }
            }
            if !self.eat("|") {
                break;
            }
        }
        Ok(metrics.map_or(Piped::Pipeline(Pipeline(stages)), Piped::Metrics))
    }

    fn stage(&self, node: Node, first: bool, from: usize) -> Result<Stage, ParseError> {
        let refused = |message: &str| Err(self.error_from(from, message));
        match node {
            Node::Spans(e) => Ok(Stage::Spans(e)),
            Node::Filter(f) => Ok(Stage::Scalar(f)),
            Node::Stage(Stage::Coalesce) if first => refused("a pipeline cannot begin with coalesce()"),
            Node::Stage(s) => Ok(s),
            Node::Function(..) => refused("series are made of spans: begin with a span filter such as {}"),
            Node::Second(_) => refused("topk and bottomk follow what makes series, such as rate()"),
            Node::Metrics(_) => refused("series can only stand at the beginning"),
            Node::Scalar(_) => refused("an aggregate must be compared with something"),
        }
    }

    /// After the opening parenthesis.
    pub(super) fn parenthesis(&mut self) -> Result<Node, ParseError> {
        let from = self.at;
        let inner = self.nested(Self::pipe)?;
        let node = match inner {
            Piped::Pipeline(p) => Node::Spans(wrapped(p)),
            Piped::Metrics(m) => Node::Metrics(MetricsExpr::Paren(Box::new(m))),
            Piped::Scalar(p, e) if p.0.is_empty() => Node::Scalar(ScalarExpr::Paren(Box::new(e))),
            Piped::Scalar(p, ScalarExpr::Aggregate(a)) => Node::Scalar(ScalarExpr::Pipeline(p, a)),
            Piped::Scalar(..) => {
                let message = "a pipeline that is computed with ends in one aggregate, as in ({} | count())";
                return Err(self.error_from(from, message));
            }
        };
        self.expect(")")?;
        Ok(node)
    }

    /// `by(...)`, `coalesce()`, `select(...)`, where the next token is one of these words.
    pub(super) fn stage_word(&mut self) -> Result<Option<Stage>, ParseError> {
        let Token::Word(word) = self.peek().clone() else { return Ok(None) };
        if !matches!(word.as_str(), "by" | "coalesce" | "select") {
            return Ok(None);
        }
        self.next();
        self.expect("(")?;
        let from = self.at;
        let stage = match word.as_str() {
            "by" => {
                let e = self.field_expr()?;
                check::grouping(&e).map_err(|message| self.error_from(from, message))?;
                Stage::By(e)
            }
            "select" => Stage::Select(self.field_list()?),
            _ => Stage::Coalesce,
        };
        self.expect(")")?;
        Ok(Some(stage))
    }
}

fn wrapped(mut p: Pipeline) -> SpansetExpr {
    match (p.0.pop(), p.0.is_empty()) {
        (Some(Stage::Spans(e)), true) => SpansetExpr::Paren(Box::new(e)),
        (last, _) => {
            p.0.extend(last);
            SpansetExpr::Pipeline(p)
        }
    }
}

pub(super) fn then(inner: MetricsExpr, chain: Vec<SecondStage>) -> MetricsExpr {
    chain.into_iter().fold(inner, |inner, stage| MetricsExpr::Then { inner: Box::new(inner), stage })
}
