//! Functions that make series, and those that choose among series.

use super::Parser;
use crate::{
    ast::{Comparison, Function, OverTimeOp, SecondStage},
    check,
    error::ParseError,
    field::Field,
    lex::Token,
};

impl Parser<'_> {
    pub(super) fn function(&mut self) -> Result<Option<Function>, ParseError> {
        let Token::Word(word) = self.peek().clone() else { return Ok(None) };
        let from = self.at;
        let over_time = |op| move |of, by| Function::OverTime { op, of, by };
        let function = match word.as_str() {
            "rate" => Function::Rate { by: self.unmeasured()? },
            "count_over_time" => Function::CountOverTime { by: self.unmeasured()? },
            "min_over_time" => self.measured(over_time(OverTimeOp::Min))?,
            "max_over_time" => self.measured(over_time(OverTimeOp::Max))?,
            "avg_over_time" => self.measured(over_time(OverTimeOp::Avg))?,
            "sum_over_time" => self.measured(over_time(OverTimeOp::Sum))?,
            "histogram_over_time" => self.measured(|of, by| Function::HistogramOverTime { of, by })?,
            "quantile_over_time" => self.quantiles()?,
            "compare" => Function::Compare(self.comparison()?),
            _ => return Ok(None),
        };
        check::function(&function).map_err(|message| self.error_from(from, message))?;
        Ok(Some(function))
    }

    /// `() by(...)`
    fn unmeasured(&mut self) -> Result<Vec<Field>, ParseError> {
        self.next();
        self.expect("(")?;
        self.expect(")")?;
        self.by_fields()
    }

    /// `(field) by(...)`
    fn measured(&mut self, make: impl FnOnce(Field, Vec<Field>) -> Function) -> Result<Function, ParseError> {
        self.next();
        self.expect("(")?;
        let of = self.expect_field()?;
        self.expect(")")?;
        Ok(make(of, self.by_fields()?))
    }

    fn quantiles(&mut self) -> Result<Function, ParseError> {
        self.next();
        self.expect("(")?;
        let of = self.expect_field()?;
        let mut quantiles = Vec::new();
        self.expect(",")?;
        loop {
            quantiles.push(match self.next() {
                Token::Int(i) => i as f64,
                Token::Float(v) => v,
                _ => {
                    self.at = self.at.saturating_sub(1);
                    return Err(self.unexpected("a quantile between 0 and 1"));
                }
            });
            if !self.eat(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(Function::QuantileOverTime { of, quantiles, by: self.by_fields()? })
    }

    fn comparison(&mut self) -> Result<Comparison, ParseError> {
        self.next();
        self.expect("(")?;
        let selection = self.span_filter()?;
        let top = if self.eat(",") { Some(self.positive("a number of values")?) } else { None };
        let mut between = None;
        if top.is_some() && self.eat(",") {
            let start = self.positive("a time in nanoseconds")?;
            self.expect(",")?;
            between = Some((start as i64, self.positive("a time in nanoseconds")? as i64));
        }
        self.expect(")")?;
        Ok(Comparison { selection, top, between })
    }

    fn positive(&mut self, wanted: &str) -> Result<u64, ParseError> {
        let Token::Int(i) = *self.peek() else { return Err(self.unexpected(wanted)) };
        let Some(n) = u64::try_from(i).ok().filter(|n| *n > 0) else {
            return Err(self.error(format!("expected {wanted} above 0")));
        };
        self.next();
        Ok(n)
    }

    /// `by(...)` after a function; nothing where it does not follow.
    fn by_fields(&mut self) -> Result<Vec<Field>, ParseError> {
        if !self.eat_word("by") {
            return Ok(Vec::new());
        }
        self.expect("(")?;
        let fields = self.field_list()?;
        self.expect(")")?;
        Ok(fields)
    }

    pub(super) fn field_list(&mut self) -> Result<Vec<Field>, ParseError> {
        let mut fields = vec![self.expect_field()?];
        while self.eat(",") {
            fields.push(self.expect_field()?);
        }
        Ok(fields)
    }

    pub(super) fn second_stage(&mut self) -> Result<Option<SecondStage>, ParseError> {
        let make = match self.peek() {
            Token::Word(w) if w == "topk" => SecondStage::TopK,
            Token::Word(w) if w == "bottomk" => SecondStage::BottomK,
            _ => return Ok(None),
        };
        self.next();
        self.expect("(")?;
        let k = self.positive("a number of series")?;
        self.expect(")")?;
        Ok(Some(make(k)))
    }
}
