//! Text to tokens, in one pass.
//!
//! Two places change what characters mean: inside braces there are no keywords, inside brackets a colon stands
//! alone. The lexer follows both, so a token never has to be read twice. An error becomes the last token: what
//! stands before it may be wrong in a more telling way.

use eval::{AggregateOp, BinaryOp, Span};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    End,
    /// Carries the message.
    Error(String),
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    /// `=` of a matcher.
    Assign,
    RegexMatch,
    RegexNotMatch,
    At,
    Op(BinaryOp),
    /// Decimal, hexadecimal, octal or float, `Inf` and `NaN`.
    Number,
    /// `1h30m`
    Duration,
    /// With its quotes.
    String,
    /// A name without a colon.
    Identifier,
    /// A name with a colon.
    MetricIdentifier,
    Aggregate(AggregateOp),
    Keyword(Keyword),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyword {
    Offset,
    Smoothed,
    Anchored,
    By,
    Without,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Bool,
    Start,
    End,
    Step,
    Range,
    MaxOf,
    MinOf,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lexeme {
    pub token: Token,
    pub span: Span,
}

fn keyword(word: &str) -> Option<Token> {
    use Keyword as K;
    // Longest keyword: count_values, group_right.
    if word.len() > 12 {
        return None;
    }
    Some(match word.to_ascii_lowercase().as_str() {
        "and" => Token::Op(BinaryOp::And),
        "or" => Token::Op(BinaryOp::Or),
        "unless" => Token::Op(BinaryOp::Unless),
        "atan2" => Token::Op(BinaryOp::Atan2),
        "inf" | "nan" => Token::Number,
        "offset" => Token::Keyword(K::Offset),
        "smoothed" => Token::Keyword(K::Smoothed),
        "anchored" => Token::Keyword(K::Anchored),
        "by" => Token::Keyword(K::By),
        "without" => Token::Keyword(K::Without),
        "on" => Token::Keyword(K::On),
        "ignoring" => Token::Keyword(K::Ignoring),
        "group_left" => Token::Keyword(K::GroupLeft),
        "group_right" => Token::Keyword(K::GroupRight),
        "fill" => Token::Keyword(K::Fill),
        "fill_left" => Token::Keyword(K::FillLeft),
        "fill_right" => Token::Keyword(K::FillRight),
        "bool" => Token::Keyword(K::Bool),
        "start" => Token::Keyword(K::Start),
        "end" => Token::Keyword(K::End),
        "step" => Token::Keyword(K::Step),
        "range" => Token::Keyword(K::Range),
        "max_of" => Token::Keyword(K::MaxOf),
        "min_of" => Token::Keyword(K::MinOf),
        other => Token::Aggregate(aggregate_op(other)?),
    })
}

fn aggregate_op(word: &str) -> Option<AggregateOp> {
    use AggregateOp::*;
    [
        Sum,
        Avg,
        Min,
        Max,
        Count,
        Group,
        Stddev,
        Stdvar,
        Topk,
        Bottomk,
        Quantile,
        CountValues,
        Limitk,
        LimitRatio,
    ]
    .into_iter()
    .find(|op| op.as_str() == word)
}

/// All tokens; the last is `End` or `Error`.
pub(crate) fn lex(text: &str) -> Vec<Lexeme> {
    let mut l =
        Lexer { text, bytes: text.as_bytes(), at: 0, parens: 0, brace: false, bracket: false, colon: false };
    let mut out = Vec::with_capacity(text.len() / 3 + 2);
    loop {
        let lexeme = l.next();
        let last = matches!(lexeme.token, Token::End | Token::Error(_));
        out.push(lexeme);
        if last {
            return out;
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    parens: usize,
    brace: bool,
    bracket: bool,
    /// A colon was seen inside the open bracket.
    colon: bool,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    /// The character at an offset, for messages.
    fn char_at(&self, offset: usize) -> char {
        self.text.get(offset..).and_then(|s| s.chars().next()).unwrap_or('\u{fffd}')
    }

    fn skip_blanks(&mut self) {
        while let Some(b) = self.peek() {
            match b {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                b'#' => {
                    while self.peek().is_some_and(|b| b != b'\n' && b != b'\r') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    fn next(&mut self) -> Lexeme {
        self.skip_blanks();
        let start = self.at;
        let token = match self.peek() {
            None => self.end(),
            Some(b) if self.brace => self.inside_braces(b),
            Some(b) => self.statement(b),
        };
        let end = if matches!(token, Token::Error(_)) { self.bytes.len() } else { self.at };
        Lexeme { token, span: start..end }
    }

    fn end(&self) -> Token {
        if self.brace {
            Token::Error("unexpected end of input inside braces".to_owned())
        } else if self.parens > 0 {
            Token::Error("unclosed left parenthesis".to_owned())
        } else if self.bracket {
            Token::Error("unclosed left bracket".to_owned())
        } else {
            Token::End
        }
    }

    fn take(&mut self, bytes: usize, token: Token) -> Token {
        self.at += bytes;
        token
    }

    fn statement(&mut self, b: u8) -> Token {
        let next = self.peek_at(1);
        match b {
            b',' => self.take(1, Token::Comma),
            b'*' => self.take(1, Token::Op(BinaryOp::Mul)),
            b'/' => self.take(1, Token::Op(BinaryOp::Div)),
            b'%' => self.take(1, Token::Op(BinaryOp::Mod)),
            b'+' => self.take(1, Token::Op(BinaryOp::Add)),
            b'-' => self.take(1, Token::Op(BinaryOp::Sub)),
            b'^' => self.take(1, Token::Op(BinaryOp::Pow)),
            b'@' => self.take(1, Token::At),
            b'=' if next == Some(b'=') => self.take(2, Token::Op(BinaryOp::Equal)),
            b'=' if next == Some(b'~') => Token::Error("unexpected character after '=': '~'".to_owned()),
            b'=' => self.take(1, Token::Assign),
            b'!' if next == Some(b'=') => self.take(2, Token::Op(BinaryOp::NotEqual)),
            b'!' => self.after_bang(),
            b'<' if next == Some(b'=') => self.take(2, Token::Op(BinaryOp::LessEqual)),
            b'<' if next == Some(b'/') => self.take(2, Token::Op(BinaryOp::TrimUpper)),
            b'<' => self.take(1, Token::Op(BinaryOp::Less)),
            b'>' if next == Some(b'=') => self.take(2, Token::Op(BinaryOp::GreaterEqual)),
            b'>' if next == Some(b'/') => self.take(2, Token::Op(BinaryOp::TrimLower)),
            b'>' => self.take(1, Token::Op(BinaryOp::Greater)),
            b'0'..=b'9' => self.number_or_duration(),
            b'.' if next.is_some_and(|d| d.is_ascii_digit()) => self.number_or_duration(),
            b'"' | b'\'' | b'`' => self.string(b),
            _ if is_alpha(b) || b == b':' => self.word(b),
            b'(' => {
                self.parens += 1;
                self.take(1, Token::LeftParen)
            }
            b')' if self.parens == 0 => Token::Error("unexpected right parenthesis ')'".to_owned()),
            b')' => {
                self.parens -= 1;
                self.take(1, Token::RightParen)
            }
            b'{' => {
                self.brace = true;
                self.take(1, Token::LeftBrace)
            }
            b'[' if self.bracket => Token::Error("unexpected left bracket '['".to_owned()),
            b'[' => {
                self.bracket = true;
                self.colon = false;
                self.take(1, Token::LeftBracket)
            }
            b']' if !self.bracket => Token::Error("unexpected right bracket ']'".to_owned()),
            b']' => {
                self.bracket = false;
                self.take(1, Token::RightBracket)
            }
            _ => Token::Error(format!("unexpected character: {:?}", self.char_at(self.at))),
        }
    }

    fn after_bang(&self) -> Token {
        match self.text.get(self.at + 1..).and_then(|s| s.chars().next()) {
            Some(c) => Token::Error(format!("unexpected character after '!': {c:?}")),
            None => Token::Error("unexpected end of input after '!'".to_owned()),
        }
    }

    fn inside_braces(&mut self, b: u8) -> Token {
        let next = self.peek_at(1);
        match b {
            _ if is_alpha(b) => {
                self.skip_alphanumeric();
                Token::Identifier
            }
            b',' => self.take(1, Token::Comma),
            b'"' | b'\'' | b'`' => self.string(b),
            b'=' if next == Some(b'~') => self.take(2, Token::RegexMatch),
            b'=' => self.take(1, Token::Assign),
            b'!' if next == Some(b'~') => self.take(2, Token::RegexNotMatch),
            b'!' if next == Some(b'=') => self.take(2, Token::Op(BinaryOp::NotEqual)),
            b'!' => match self.text.get(self.at + 1..).and_then(|s| s.chars().next()) {
                Some(c) => Token::Error(format!("unexpected character after '!' inside braces: {c:?}")),
                None => Token::Error("unexpected end of input inside braces".to_owned()),
            },
            b'{' => Token::Error("unexpected left brace '{'".to_owned()),
            b'}' => {
                self.brace = false;
                self.take(1, Token::RightBrace)
            }
            _ => Token::Error(format!("unexpected character inside braces: {:?}", self.char_at(self.at))),
        }
    }

    fn skip_alphanumeric(&mut self) {
        while self.peek().is_some_and(is_alphanumeric) {
            self.at += 1;
        }
    }

    fn word(&mut self, first: u8) -> Token {
        if self.bracket {
            return self.word_in_brackets(first);
        }
        let start = self.at;
        while self.peek().is_some_and(|b| is_alphanumeric(b) || b == b':') {
            self.at += 1;
        }
        let word = &self.text[start..self.at];
        match keyword(word) {
            // Young keywords stay usable as names: they count only where a parenthesis follows.
            Some(Token::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight))
                if !self.paren_follows() =>
            {
                Token::Identifier
            }
            Some(t) => t,
            None if word.contains(':') => Token::MetricIdentifier,
            None => Token::Identifier,
        }
    }

    fn paren_follows(&self) -> bool {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        rest.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'(')
    }

    fn word_in_brackets(&mut self, first: u8) -> Token {
        let start = self.at;
        if first == b':' {
            if self.colon {
                return Token::Error("unexpected colon ':'".to_owned());
            }
            self.colon = true;
            return self.take(1, Token::Colon);
        }
        while self.peek().is_some_and(is_alpha) {
            self.at += 1;
        }
        match keyword(&self.text[start..self.at]) {
            Some(t @ Token::Keyword(Keyword::Step | Keyword::Range | Keyword::MaxOf | Keyword::MinOf)) => t,
            _ => Token::Error(format!("unexpected character: {:?}, expected ':'", self.char_at(start))),
        }
    }

    /// A quoted string; the escapes are checked when it is unquoted.
    fn string(&mut self, quote: u8) -> Token {
        let mut at = self.at + 1;
        loop {
            match self.bytes.get(at) {
                None if quote == b'`' => return Token::Error("unterminated raw string".to_owned()),
                None | Some(b'\n') if quote != b'`' => {
                    return Token::Error("unterminated quoted string".to_owned());
                }
                Some(b'\\') if quote != b'`' => at += 2,
                Some(b) if *b == quote => {
                    self.at = at + 1;
                    return Token::String;
                }
                _ => at += 1,
            }
        }
    }

    fn number_or_duration(&mut self) -> Token {
        let start = self.at;
        if self.scan_number() {
            return Token::Number;
        }
        self.at = start;
        if self.scan_duration() {
            return Token::Duration;
        }
        self.skip_alphanumeric();
        let shown: String = self.text[start..self.at.max(start)].chars().take(64).collect();
        self.at = start;
        Token::Error(format!("bad number or duration syntax: {shown:?}"))
    }

    /// `0x1F`, `1_000`, `.5`, `1e-3`. An underscore separates digits only.
    fn scan_number(&mut self) -> bool {
        let hex = self.peek() == Some(b'0') && matches!(self.peek_at(1), Some(b'x' | b'X'));
        if hex {
            self.at += 2;
        }
        let digit = |b: u8| if hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() };
        let (mut digits, mut dot, mut exponent) = (0usize, false, false);
        let mut last = 0u8;
        while let Some(b) = self.peek() {
            match b {
                _ if digit(b) => digits += 1,
                b'_' if digits > 0 || hex => {
                    if !self.peek_at(1).is_some_and(digit) || last == b'_' {
                        return false;
                    }
                }
                b'.' if !hex && !dot && !exponent && last != b'_' => dot = true,
                b'e' | b'E' if !hex && !exponent && digits > 0 => {
                    exponent = true;
                    if matches!(self.peek_at(1), Some(b'+' | b'-')) {
                        self.at += 1;
                    }
                    if !self.peek_at(1).is_some_and(|b| b.is_ascii_digit()) {
                        return false;
                    }
                }
                _ => break,
            }
            last = b;
            self.at += 1;
        }
        digits > 0 && !self.peek().is_some_and(|b| is_alphanumeric(b) || (b == b'.' && dot))
    }

    /// Digits and units, each unit once and in falling order (checked when parsed).
    fn scan_duration(&mut self) -> bool {
        let mut parts = 0;
        loop {
            let digits = self.at;
            while self.peek().is_some_and(|b| b.is_ascii_digit()) {
                self.at += 1;
            }
            if self.at == digits {
                return parts > 0 && !self.peek().is_some_and(is_alphanumeric);
            }
            match self.peek() {
                Some(b's' | b'm' | b'h' | b'd' | b'w' | b'y') => self.at += 1,
                _ => return false,
            }
            if self.peek() == Some(b's') {
                self.at += 1;
            }
            parts += 1;
        }
    }
}

fn is_alpha(b: u8) -> bool {
    b == b'_' || b.is_ascii_alphabetic()
}

fn is_alphanumeric(b: u8) -> bool {
    is_alpha(b) || b.is_ascii_digit()
}
