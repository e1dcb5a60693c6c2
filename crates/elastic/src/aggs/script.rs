//! Arithmetic of `bucket_script`, as much of Painless as one expression over numbers is.
//!
//! ```text
//! params.total > 0 ? params.errors / params.total * 100 : 0
//! ```

use crate::Error;

/// An expression nests no deeper.
const MAX_DEPTH: usize = 64;

#[derive(Debug, Clone)]
pub(super) enum Script {
    Number(f64),
    Param(String),
    Negative(Box<Script>),
    Two(char, Box<Script>, Box<Script>),
    Choice(Box<Script>, Box<Script>, Box<Script>),
    Call(Function, Vec<Script>),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Function {
    Abs,
    Ceil,
    Floor,
    Round,
    Sqrt,
    Log,
    Min,
    Max,
    Pow,
}

impl Script {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim().trim_end_matches(';').trim();
        let text = text.strip_prefix("return ").unwrap_or(text);
        let mut p = Parser { rest: text, depth: 0 };
        let script = p.choice();
        match (script, p.rest.trim().is_empty()) {
            (Some(script), true) => Ok(script),
            _ => {
                let short: String = text.chars().take(200).collect();
                Err(Error::illegal(format!(
                    "the script {short:?} is not served: one expression of numbers is"
                )))
            }
        }
    }

    /// `None` where a parameter is missing or what comes out is no number.
    pub(super) fn value(&self, param: &dyn Fn(&str) -> Option<f64>) -> Option<f64> {
        let out = match self {
            Script::Number(n) => *n,
            Script::Param(name) => param(name)?,
            Script::Negative(a) => -a.value(param)?,
            Script::Choice(test, yes, no) => {
                let chosen = if test.value(param)? != 0.0 { yes } else { no };
                chosen.value(param)?
            }
            Script::Two(op, a, b) => {
                let (a, b) = (a.value(param)?, b.value(param)?);
                let truth = |t: bool| f64::from(u8::from(t));
                match op {
                    '+' => a + b,
                    '-' => a - b,
                    '*' => a * b,
                    '/' => a / b,
                    '%' => a % b,
                    '>' => truth(a > b),
                    '<' => truth(a < b),
                    'g' => truth(a >= b),
                    'l' => truth(a <= b),
                    '=' => truth(a == b),
                    '!' => truth(a != b),
                    '&' => truth(a != 0.0 && b != 0.0),
                    _ => truth(a != 0.0 || b != 0.0),
                }
            }
            Script::Call(function, arguments) => {
                let mut values = arguments.iter().map(|a| a.value(param));
                let a = values.next()??;
                match function {
                    Function::Abs => a.abs(),
                    Function::Ceil => a.ceil(),
                    Function::Floor => a.floor(),
                    Function::Round => a.round(),
                    Function::Sqrt => a.sqrt(),
                    Function::Log => a.ln(),
                    Function::Min => a.min(values.next()??),
                    Function::Max => a.max(values.next()??),
                    Function::Pow => a.powf(values.next()??),
                }
            }
        };
        Some(out).filter(|v| v.is_finite())
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

/// Operators by how tightly they bind, the loosest first; each with the letter it is kept as.
const LEVELS: &[&[(&str, char)]] = &[
    &[("||", '|')],
    &[("&&", '&')],
    &[("==", '='), ("!=", '!')],
    &[(">=", 'g'), ("<=", 'l'), (">", '>'), ("<", '<')],
    &[("+", '+'), ("-", '-')],
    &[("*", '*'), ("/", '/'), ("%", '%')],
];

impl Parser<'_> {
    fn eat(&mut self, token: &str) -> bool {
        let trimmed = self.rest.trim_start();
        match trimmed.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn choice(&mut self) -> Option<Script> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let test = self.level(0)?;
        let out = match self.eat("?") {
            true => {
                let yes = self.choice()?;
                if !self.eat(":") {
                    return None;
                }
                Script::Choice(Box::new(test), Box::new(yes), Box::new(self.choice()?))
            }
            false => test,
        };
        self.depth -= 1;
        Some(out)
    }

    fn level(&mut self, level: usize) -> Option<Script> {
        let Some(operators) = LEVELS.get(level) else { return self.single() };
        let mut left = self.level(level + 1)?;
        let mut terms = 0;
        while let Some((_, op)) = operators.iter().find(|(token, _)| self.eat(token)) {
            // A long chain nests to the left.
            terms += 1;
            if terms > MAX_DEPTH {
                return None;
            }
            left = Script::Two(*op, Box::new(left), Box::new(self.level(level + 1)?));
        }
        Some(left)
    }

    fn single(&mut self) -> Option<Script> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let out = self.operand();
        self.depth -= 1;
        out
    }

    fn operand(&mut self) -> Option<Script> {
        if self.eat("(") {
            let inner = self.choice()?;
            return self.eat(")").then_some(inner);
        }
        if self.eat("-") {
            return Some(Script::Negative(Box::new(self.single()?)));
        }
        if self.eat("params['") {
            let (name, rest) = self.rest.split_once("']")?;
            self.rest = rest;
            return Some(Script::Param(name.to_owned()));
        }
        let rest = self.rest.trim_start();
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
        let (token, rest) = rest.split_at(end);
        self.rest = rest;
        if let Some(name) = token.strip_prefix("params.") {
            return Some(Script::Param(name.to_owned()));
        }
        if let Some(name) = token.strip_prefix("Math.") {
            return self.call(name);
        }
        match token.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            true => token.trim_end_matches(['L', 'd', 'f']).parse().ok().map(Script::Number),
            false if token.is_empty() => None,
            false => Some(Script::Param(token.to_owned())),
        }
    }

    fn call(&mut self, name: &str) -> Option<Script> {
        let (function, count) = match name {
            "abs" => (Function::Abs, 1),
            "ceil" => (Function::Ceil, 1),
            "floor" => (Function::Floor, 1),
            "round" => (Function::Round, 1),
            "sqrt" => (Function::Sqrt, 1),
            "log" => (Function::Log, 1),
            "min" => (Function::Min, 2),
            "max" => (Function::Max, 2),
            "pow" => (Function::Pow, 2),
            _ => return None,
        };
        let mut arguments = Vec::with_capacity(count);
        for i in 0..count {
            if !self.eat(if i == 0 { "(" } else { "," }) {
                return None;
            }
            arguments.push(self.choice()?);
        }
        self.eat(")").then_some(Script::Call(function, arguments))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn expressions_are_computed() {
        let value = |text: &str| {
            let param = |name: &str| {
                [("a", 6.0), ("b", 4.0), ("zero", 0.0)].iter().find(|p| p.0 == name).map(|p| p.1)
            };
            Script::parse(text).unwrap().value(&param)
        };
        assert_eq!(value("params.a / params.b * 100"), Some(150.0));
        assert_eq!(value("params['a'] - (1 + params.b) * -2"), Some(16.0));
        assert_eq!(value("params.zero > 0 ? params.a / params.zero : 7"), Some(7.0));
        assert_eq!(value("params.a / params.zero"), None);
        assert_eq!(value("Math.max(a, 10) >= 10 && params.b == 4"), Some(1.0));
        assert_eq!(value("params.missing"), None);
        for bad in ["", "1 +", "for (;;) {}", "params.a ? 1", "System.exit(1)", &"(".repeat(500)] {
            assert!(Script::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z0-9.()+*/%<>=!&|?: -]{0,60}") {
            if let Ok(script) = Script::parse(&text) {
                let _ = script.value(&|_| Some(1.0));
            }
        }
    }
}
