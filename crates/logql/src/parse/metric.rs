//! Metric expressions: range and vector aggregations, operators, and the ranges they read.

use super::*;

/// A log range while it is read: parentheses may close before or after the range is seen.
struct PartialRange {
    log: LogExpr,
    unwrap: Option<Unwrap>,
    window: Option<(i64, i64)>,
}

impl Parser<'_> {
    /// Any expression, with operators of at least `min` precedence.
    pub(super) fn expr(&mut self, min: u8) -> Parsed<Any> {
        let mut left = self.primary()?;
        loop {
            let Some(op) = self.binary_op() else { return Ok(left) };
            if op.precedence() < min {
                return Ok(left);
            }
            let Any::Metric(l) = left else {
                return Err(self.error(format!(
                    "unexpected type for left leg of binary operation ({}): a log query has no values",
                    op.as_str()
                )));
            };
            self.at += 1;
            let (return_bool, matching) = self.modifiers()?;
            if return_bool && !op.is_comparison() {
                return Err(self.error("bool modifier can only be used on comparison operators"));
            }
            // `^` groups from the right, everything else from the left.
            let right_min = op.precedence() + u8::from(op != BinaryOp::Pow);
            let r = match self.nested(|p| p.expr(right_min))? {
                Any::Metric(m) => m,
                Any::Log(_) => {
                    return Err(self.error(format!(
                        "unexpected type for right leg of binary operation ({}): a log query has no values",
                        op.as_str()
                    )));
                }
            };
            let depth = l.depth.max(r.depth) + 1;
            if depth > MAX_DEPTH {
                return Err(self.too_deep());
            }
            let node = self.binary(op, l.node, r.node, return_bool, matching)?;
            left = Any::Metric(Deep { node, depth });
        }
    }

    fn binary(
        &self,
        op: BinaryOp,
        left: MetricExpr,
        right: MetricExpr,
        return_bool: bool,
        matching: Option<Matching>,
    ) -> Parsed<MetricExpr> {
        let grouped = matching.as_ref().is_some_and(|m| m.group != Group::None);
        if op.is_set() {
            for side in [&left, &right] {
                if let MetricExpr::Literal(v) = side {
                    let message = format!(
                        "unexpected literal {v} for a leg of logical/set binary operation ({})",
                        op.as_str()
                    );
                    return Err(self.error(message));
                }
            }
            if grouped {
                return Err(self.error(format!("no grouping allowed for {:?} operation", op.as_str())));
            }
        }
        Ok(MetricExpr::Binary(Box::new(Binary { op, left, right, return_bool, matching })))
    }

    fn binary_op(&self) -> Option<BinaryOp> {
        match self.peek() {
            Token::Sym(s) => BinaryOp::from_name(s),
            Token::Ident(i) if matches!(i.as_str(), "or" | "and" | "unless") => BinaryOp::from_name(i),
            _ => None,
        }
    }

    fn modifiers(&mut self) -> Parsed<(bool, Option<Matching>)> {
        let return_bool = self.take_word("bool");
        let on = self.is_word("on");
        // A label list must follow: `on` and `ignoring` start no expression, so this is not ambiguous.
        if !on && !self.is_word("ignoring") {
            return Ok((return_bool, None));
        }
        self.at += 1;
        let labels = self.label_list()?;
        let left = self.is_word("group_left");
        let mut group = Group::None;
        if left || self.is_word("group_right") {
            self.at += 1;
            // `group_left (…)` could open the list or the operand: it is a list where one fits.
            let include =
                if self.is_sym("(") && self.list_follows() { self.label_list()? } else { Vec::new() };
            group = if left { Group::Left(include) } else { Group::Right(include) };
        }
        Ok((return_bool, Some(Matching { on, labels, group })))
    }

    /// Whether the parenthesis at hand holds nothing but names and commas.
    fn list_follows(&self) -> bool {
        let mut ahead = 1;
        loop {
            match self.peek_at(ahead) {
                Token::Sym(")") => return true,
                Token::Ident(_) | Token::Sym(",") => ahead += 1,
                _ => return false,
            }
        }
    }

    fn primary(&mut self) -> Parsed<Any> {
        if let Some(v) = self.signed_number() {
            return Ok(metric(MetricExpr::Literal(v), 1));
        }
        match self.peek().clone() {
            Token::Sym("{") => {
                let matchers = self.selector()?;
                Ok(Any::Log(LogExpr { matchers, stages: self.stages()? }))
            }
            Token::Sym("(") => {
                self.at += 1;
                let inner = self.nested(|p| p.expr(0))?;
                self.expect_sym(")")?;
                Ok(inner)
            }
            Token::Ident(word) => self.call(&word),
            _ => Err(self.unexpected("")),
        }
    }

    fn call(&mut self, word: &str) -> Parsed<Any> {
        if let Some(op) = RangeOp::from_name(word) {
            self.at += 1;
            return Ok(metric(MetricExpr::Range(Box::new(self.range_aggregation(op)?)), 1));
        }
        if let Some(op) = VectorOp::from_name(word) {
            self.at += 1;
            return self.vector_aggregation(op);
        }
        match word {
            "vector" => {
                self.at += 1;
                self.expect_sym("(")?;
                let v = self.signed_number().ok_or_else(|| self.unexpected("NUMBER"))?;
                self.expect_sym(")")?;
                Ok(metric(MetricExpr::Vector(v), 1))
            }
            "label_replace" => {
                self.at += 1;
                self.label_replace()
            }
            "variants" => {
                self.at += 1;
                self.variants()
            }
            _ => Err(self.unexpected("")),
        }
    }

    fn range_aggregation(&mut self, op: RangeOp) -> Parsed<RangeAggregation> {
        self.expect_sym("(")?;
        let parameter = self.signed_number();
        if parameter.is_some() {
            self.expect_sym(",")?;
        }
        let range = self.log_range()?;
        self.expect_sym(")")?;
        Ok(RangeAggregation { op, parameter, range, grouping: self.grouping()? })
    }

    fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        let without = self.is_word("without");
        if !without && !self.is_word("by") {
            return Ok(None);
        }
        self.at += 1;
        Ok(Some(Grouping { without, labels: self.label_list()? }))
    }

    fn vector_aggregation(&mut self, op: VectorOp) -> Parsed<Any> {
        let before = self.grouping()?;
        self.expect_sym("(")?;
        // `topk(2, …)` has a parameter; `sum(2 * …)` starts with a number that is none.
        let mut parameter = None;
        let start = self.at;
        let span = self.span();
        if let Some(v) = self.signed_number() {
            if self.take_sym(",") {
                parameter = Some(self.count_parameter(op, v, span)?);
            } else {
                self.at = start;
            }
        }
        let inner = self.metric_operand(op.as_str())?;
        self.expect_sym(")")?;
        let grouping = match before {
            Some(g) => Some(g),
            None => self.grouping()?,
        };
        let node = VectorAggregation { op, parameter, grouping, inner: inner.node };
        Ok(metric(MetricExpr::Aggregate(Box::new(node)), inner.depth + 1))
    }

    fn count_parameter(&self, op: VectorOp, v: f64, span: Range<usize>) -> Parsed<i64> {
        let fail = |m: String| Err(ParseError::at(self.text, span.clone(), m));
        if !op.takes_parameter() {
            return fail(format!("unsupported parameter for operation {}({v},", op.as_str()));
        }
        if v.fract() != 0.0 || v < 1.0 || v > f64::from(u32::MAX) {
            return fail(format!("invalid parameter (must be greater than 0) {}({v}", op.as_str()));
        }
        Ok(v as i64)
    }

    /// A metric expression in a place where a log query makes no sense.
    fn metric_operand(&mut self, what: &str) -> Parsed<Deep<MetricExpr>> {
        let span = self.span();
        match self.nested(|p| p.expr(0))? {
            Any::Metric(m) if m.depth < MAX_DEPTH => Ok(m),
            Any::Metric(_) => Err(self.too_deep()),
            Any::Log(_) => {
                let message = format!("syntax error: {what} takes a metric query, not a log query");
                Err(ParseError::at(self.text, span, message))
            }
        }
    }

    fn label_replace(&mut self) -> Parsed<Any> {
        self.expect_sym("(")?;
        let inner = self.metric_operand("label_replace")?;
        let mut strings: [String; 4] = Default::default();
        let mut span = self.span();
        for s in &mut strings {
            self.expect_sym(",")?;
            span = self.span();
            *s = self.expect_string()?;
        }
        self.expect_sym(")")?;
        let [target, replacement, source, pattern] = strings;
        re2::compile(&pattern)
            .map_err(|e| ParseError::at(self.text, span, format!("invalid regex in label_replace: {e}")))?;
        let node = LabelReplace { inner: inner.node, target, replacement, source, pattern };
        Ok(metric(MetricExpr::LabelReplace(Box::new(node)), inner.depth + 1))
    }

    fn variants(&mut self) -> Parsed<Any> {
        self.expect_sym("(")?;
        let (mut variants, mut depth) = (Vec::new(), 0);
        loop {
            let v = self.metric_operand("variants")?;
            depth = depth.max(v.depth);
            variants.push(v.node);
            if !self.take_sym(",") {
                break;
            }
        }
        self.expect_sym(")")?;
        if !self.take_word("of") {
            return Err(self.unexpected("of"));
        }
        self.expect_sym("(")?;
        let of = self.log_range()?;
        self.expect_sym(")")?;
        Ok(metric(MetricExpr::Variants(Box::new(Variants { variants, of })), depth + 1))
    }

    fn log_range(&mut self) -> Parsed<LogRange> {
        let p = self.partial_range()?;
        match p.window {
            Some((range_ns, offset_ns)) => Ok(LogRange { log: p.log, unwrap: p.unwrap, range_ns, offset_ns }),
            None => Err(self.unexpected("[")),
        }
    }

    /// A selector with stages, unwrap and range in any of the orders the grammar has: the range may stand
    /// before or after the pipeline, and parentheses may close around it or before it.
    fn partial_range(&mut self) -> Parsed<PartialRange> {
        let mut p = if self.take_sym("(") {
            let inner = self.nested(Self::partial_range)?;
            self.expect_sym(")")?;
            inner
        } else {
            PartialRange { log: LogExpr::selector(self.selector()?), unwrap: None, window: None }
        };
        loop {
            if self.is_sym("[") && p.window.is_none() {
                p.window = Some(self.window()?);
            } else if self.at_unwrap() && p.unwrap.is_none() {
                p.unwrap = Some(self.unwrap()?);
            } else if p.unwrap.is_none() {
                let more = self.stages()?;
                if more.is_empty() {
                    return Ok(p);
                }
                p.log.stages.extend(more);
            } else {
                return Ok(p);
            }
        }
    }

    /// `[5m]`, then perhaps `offset 1h`.
    fn window(&mut self) -> Parsed<(i64, i64)> {
        self.expect_sym("[")?;
        let span = self.span();
        let range = self.expect_duration()?;
        if range <= 0 {
            return Err(ParseError::at(self.text, span, "the range of a range aggregation must be positive"));
        }
        self.expect_sym("]")?;
        let offset = if self.take_word("offset") { self.expect_duration()? } else { 0 };
        Ok((range, offset))
    }

    fn unwrap(&mut self) -> Parsed<Unwrap> {
        self.at += 2;
        let word = self.expect_ident()?;
        let conversion = match word.as_str() {
            _ if !self.is_sym("(") => None,
            "duration" => Some(Conversion::Duration),
            "duration_seconds" => Some(Conversion::DurationSeconds),
            "bytes" => Some(Conversion::Bytes),
            _ => {
                return Err(self.error(format!(
                    "{word:?} is not a conversion: use duration, duration_seconds or bytes"
                )));
            }
        };
        let label = if conversion.is_some() {
            self.expect_sym("(")?;
            let label = self.expect_ident()?;
            self.expect_sym(")")?;
            label
        } else {
            word
        };
        let mut filters = Vec::new();
        while self.take_sym("|") {
            filters.push(self.label_filter()?);
        }
        Ok(Unwrap { label, conversion, filters })
    }
}

fn metric(node: MetricExpr, depth: usize) -> Any {
    Any::Metric(Deep { node, depth })
}
