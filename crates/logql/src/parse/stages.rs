//! The stages of a pipeline.

use super::*;

/// Stage names that take a `|` and are no labels.
const STAGES: [&str; 11] = [
    "json",
    "logfmt",
    "regexp",
    "pattern",
    "unpack",
    "decolorize",
    "line_format",
    "label_format",
    "drop",
    "keep",
    "unwrap",
];

impl Parser<'_> {
    /// Stages up to the first token that starts none. Stops before `| unwrap`, which only ranges have.
    pub(super) fn stages(&mut self) -> Parsed<Vec<Stage>> {
        let mut stages = Vec::new();
        loop {
            if let Some(op) = self.line_op() {
                self.at += 1;
                stages.push(Stage::Line(self.line_filter(op)?));
            } else if self.is_sym("|") && !self.at_unwrap() {
                self.at += 1;
                stages.push(self.stage()?);
            } else {
                return Ok(stages);
            }
        }
    }

    pub(super) fn at_unwrap(&self) -> bool {
        self.is_sym("|")
            && matches!(self.peek_at(1), Token::Ident(i) if i == "unwrap")
            && !self.compares_at(2)
    }

    fn line_op(&self) -> Option<LineOp> {
        Some(match self.peek() {
            Token::Sym("|=") => LineOp::Contains,
            Token::Sym("!=") => LineOp::NotContains,
            Token::Sym("|~") => LineOp::Regex,
            Token::Sym("!~") => LineOp::NotRegex,
            Token::Sym("|>") => LineOp::Pattern,
            Token::Sym("!>") => LineOp::NotPattern,
            _ => return None,
        })
    }

    fn line_filter(&mut self, op: LineOp) -> Parsed<LineFilter> {
        let mut alternatives = vec![self.line_pattern(op)?];
        while self.take_word("or") {
            alternatives.push(self.line_pattern(op)?);
        }
        Ok(LineFilter { op, alternatives })
    }

    fn line_pattern(&mut self, op: LineOp) -> Parsed<LinePattern> {
        if self.is_word("ip") {
            if !matches!(op, LineOp::Contains | LineOp::NotContains) {
                return Err(self.error("ip() can only be used with |= and !="));
            }
            return Ok(LinePattern::Ip(self.ip_call()?));
        }
        let span = self.span();
        let text = self.expect_string()?;
        if matches!(op, LineOp::Regex | LineOp::NotRegex) {
            re2::compile(&text)
                .map_err(|e| ParseError::at(self.text, span, format!("error parsing regexp: {e}")))?;
        }
        Ok(LinePattern::Text(text))
    }

    fn ip_call(&mut self) -> Parsed<String> {
        self.at += 1;
        self.expect_sym("(")?;
        let pattern = self.expect_string()?;
        self.expect_sym(")")?;
        Ok(pattern)
    }

    /// Whether the token `ahead` compares, which makes the word before it a label.
    fn compares_at(&self, ahead: usize) -> bool {
        matches!(self.peek_at(ahead), Token::Sym("=" | "==" | "!=" | "=~" | "!~" | ">" | ">=" | "<" | "<="))
    }

    fn stage(&mut self) -> Parsed<Stage> {
        let word = match self.peek() {
            Token::Ident(i) => i.clone(),
            Token::Sym("(") => return Ok(Stage::Label(self.label_filter()?)),
            _ => return Err(self.unexpected("")),
        };
        if !STAGES.contains(&word.as_str()) || self.compares_at(1) {
            return Ok(Stage::Label(self.label_filter()?));
        }
        self.at += 1;
        Ok(match word.as_str() {
            "json" => Stage::Json(self.extractions()?),
            "logfmt" => self.logfmt()?,
            "regexp" => Stage::Regexp(self.expect_string()?),
            "pattern" => Stage::Pattern(self.expect_string()?),
            "unpack" => Stage::Unpack,
            "decolorize" => Stage::Decolorize,
            "line_format" => Stage::LineFormat(self.expect_string()?),
            "label_format" => Stage::LabelFormat(self.label_formats()?),
            "drop" => Stage::Drop(self.label_choices()?),
            _ => Stage::Keep(self.label_choices()?),
        })
    }

    fn logfmt(&mut self) -> Parsed<Stage> {
        let (mut strict, mut keep_empty) = (false, false);
        while let Token::Flag(flag) = self.peek() {
            match flag.as_str() {
                "--strict" => strict = true,
                "--keep-empty" => keep_empty = true,
                _ => return Err(self.error(format!("unknown flag {flag} of logfmt"))),
            }
            self.at += 1;
        }
        Ok(Stage::Logfmt { strict, keep_empty, extractions: self.extractions()? })
    }

    fn extractions(&mut self) -> Parsed<Vec<Extraction>> {
        let mut out = Vec::new();
        if !matches!(self.peek(), Token::Ident(_)) {
            return Ok(out);
        }
        loop {
            let label = self.expect_ident()?;
            let path = if self.take_sym("=") { self.expect_string()? } else { label.clone() };
            out.push(Extraction { label, path });
            if !self.take_sym(",") {
                return Ok(out);
            }
        }
    }

    fn label_formats(&mut self) -> Parsed<Vec<LabelFormat>> {
        let mut out = Vec::new();
        loop {
            let label = self.expect_ident()?;
            self.expect_sym("=")?;
            let source = match self.peek().clone() {
                Token::Ident(i) => FormatSource::Label(i),
                Token::Str(s) => FormatSource::Template(s),
                _ => return Err(self.unexpected("IDENTIFIER or STRING")),
            };
            self.at += 1;
            out.push(LabelFormat { label, source });
            if !self.take_sym(",") {
                return Ok(out);
            }
        }
    }

    fn label_choices(&mut self) -> Parsed<Vec<LabelChoice>> {
        let mut out = Vec::new();
        loop {
            let starts_matcher = matches!(self.peek_at(1), Token::Sym("=" | "!=" | "=~" | "!~"))
                && matches!(self.peek_at(2), Token::Str(_))
                // `drop a != "x"` could also be a line filter; Loki reads a matcher, and so do we.
                && matches!(self.peek(), Token::Ident(_));
            out.push(if starts_matcher {
                LabelChoice::Matching(self.matcher()?)
            } else {
                LabelChoice::Name(self.expect_ident()?)
            });
            if !self.take_sym(",") {
                return Ok(out);
            }
        }
    }

    pub(super) fn label_filter(&mut self) -> Parsed<LabelFilter> {
        Ok(self.label_filter_bound(0)?.node)
    }

    /// Precedence climbing. `and` binds tighter than `or`. A comma, and standing side by side, mean `and` too,
    /// but take the whole rest as their right side: that is how Loki's grammar resolves them.
    fn label_filter_bound(&mut self, min: u8) -> Parsed<Deep<LabelFilter>> {
        let mut left = self.label_filter_unit()?;
        loop {
            let (power, right_min, skip, is_or) = match self.peek() {
                Token::Ident(i) if i == "or" => (1, 2, 1, true),
                Token::Ident(i) if i == "and" => (3, 4, 1, false),
                Token::Sym(",") => (5, 0, 1, false),
                Token::Sym("(") => (5, 0, 0, false),
                Token::Ident(_) if self.compares_at(1) => (5, 0, 0, false),
                _ => return Ok(left),
            };
            if power < min {
                return Ok(left);
            }
            self.at += skip;
            let right = self.nested(|p| p.label_filter_bound(right_min))?;
            let depth = left.depth.max(right.depth) + 1;
            if depth > MAX_DEPTH {
                return Err(self.too_deep());
            }
            let (a, b) = (Box::new(left.node), Box::new(right.node));
            let node = if is_or { LabelFilter::Or(a, b) } else { LabelFilter::And(a, b) };
            left = Deep { node, depth };
        }
    }

    fn label_filter_unit(&mut self) -> Parsed<Deep<LabelFilter>> {
        if self.take_sym("(") {
            let inner = self.nested(|p| p.label_filter_bound(0))?;
            self.expect_sym(")")?;
            return Ok(inner);
        }
        let label = self.expect_ident()?;
        let Token::Sym(sym) = *self.peek() else { return Err(self.unexpected("a comparison")) };
        if !self.compares_at(0) {
            return Err(self.unexpected("a comparison"));
        }
        self.at += 1;
        let node = self.comparison(label, sym)?;
        Ok(Deep { node, depth: 1 })
    }

    fn comparison(&mut self, label: String, sym: &'static str) -> Parsed<LabelFilter> {
        let span = self.span();
        if let Token::Str(value) = self.peek().clone() {
            let op = match sym {
                "=" => MatchOp::Equal,
                "!=" => MatchOp::NotEqual,
                "=~" => MatchOp::Regex,
                "!~" => MatchOp::NotRegex,
                _ => return Err(self.unexpected("NUMBER or DURATION or BYTES")),
            };
            self.at += 1;
            return Ok(LabelFilter::Text(self.build_matcher(label, op, value, span)?));
        }
        let op = match sym {
            "=" | "==" => CompareOp::Equal,
            "!=" => CompareOp::NotEqual,
            "<" => CompareOp::Less,
            "<=" => CompareOp::LessEqual,
            ">" => CompareOp::Greater,
            ">=" => CompareOp::GreaterEqual,
            _ => return Err(self.unexpected("STRING")),
        };
        if self.is_word("ip") && matches!(op, CompareOp::Equal | CompareOp::NotEqual) {
            let negative = op == CompareOp::NotEqual;
            return Ok(LabelFilter::Ip { label, negative, pattern: self.ip_call()? });
        }
        if let Some(value) = self.signed_number() {
            return Ok(LabelFilter::Number { label, op, value });
        }
        if matches!(self.peek(), Token::Duration(_))
            || (self.is_sym("-") && matches!(self.peek_at(1), Token::Duration(_)))
        {
            return Ok(LabelFilter::Duration { label, op, value_ns: self.expect_duration()? });
        }
        match *self.peek() {
            Token::Bytes(value) => {
                self.at += 1;
                Ok(LabelFilter::Bytes { label, op, value })
            }
            _ => Err(self.unexpected("STRING or NUMBER or DURATION or BYTES")),
        }
    }
}
