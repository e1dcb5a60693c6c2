//! Template text to nodes.

use super::{MAX_DEPTH, functions, value::Val};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text(String),
    Action(Pipe),
    If(Pipe, Vec<Node>, Vec<Node>),
    With(Pipe, Vec<Node>, Vec<Node>),
    Range(Pipe, Vec<Node>, Vec<Node>),
}

/// Commands joined by `|`: each is given the result of the one before as its last argument.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pipe {
    /// Variables the result goes to; two for `range $i, $v := …`.
    pub variables: Vec<String>,
    /// `:=` makes a new variable, `=` changes one.
    pub declares: bool,
    pub commands: Vec<Vec<Operand>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Dot,
    Literal(Val),
    Field(Vec<String>),
    Variable(String, Vec<String>),
    Call(String),
    Group(Box<Pipe>, Vec<String>),
}

impl Node {
    /// Whether a function is called anywhere in it.
    pub fn calls(&self, function: &str) -> bool {
        let any = |nodes: &[Node]| nodes.iter().any(|n| n.calls(function));
        match self {
            Node::Text(_) => false,
            Node::Action(pipe) => pipe.calls(function),
            Node::If(pipe, then, other) | Node::With(pipe, then, other) | Node::Range(pipe, then, other) => {
                pipe.calls(function) || any(then) || any(other)
            }
        }
    }
}

impl Pipe {
    fn calls(&self, function: &str) -> bool {
        self.commands.iter().flatten().any(|operand| match operand {
            Operand::Call(name) => name == function,
            Operand::Group(pipe, _) => pipe.calls(function),
            Operand::Dot | Operand::Literal(_) | Operand::Field(_) | Operand::Variable(..) => false,
        })
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Field(Vec<String>),
    Variable(String, Vec<String>),
    /// `.a.b` directly behind a closing parenthesis.
    Chain(Vec<String>),
    Literal(Val),
    Sym(&'static str),
}

enum Part {
    Text(String),
    Action(Vec<Token>),
}

pub(super) fn parse(text: &str) -> Result<Vec<Node>, String> {
    let mut parts = split(text)?.into_iter();
    let (nodes, end) = block(&mut parts, 0)?;
    match end {
        None => Ok(nodes),
        Some(_) => Err("unexpected {{end}} or {{else}}".to_owned()),
    }
}

/// Text and actions apart; `{{-` and `-}}` trim the text beside them.
fn split(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut trim_next = false;
    loop {
        let (literal, action) = match rest.split_once("{{") {
            Some((l, a)) => (l, Some(a)),
            None => (rest, None),
        };
        let mut literal = if trim_next { literal.trim_start() } else { literal };
        let Some(mut action) = action else {
            parts.push(Part::Text(literal.to_owned()));
            return Ok(parts);
        };
        if action.starts_with("- ") || action.starts_with("-\n") || action.starts_with("-\t") {
            literal = literal.trim_end();
            action = &action[1..];
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal.to_owned()));
        }
        let trimmed = action.trim_start();
        let (tokens, after) = if trimmed.starts_with("/*") {
            let (_, after) = trimmed.split_once("*/").ok_or("unclosed comment")?;
            (Vec::new(), after)
        } else {
            tokens(action)?
        };
        let after = after.trim_start();
        (trim_next, rest) = match after.strip_prefix("-}}") {
            Some(r) => (true, r),
            None => (false, after.strip_prefix("}}").ok_or("unclosed action")?),
        };
        if !tokens.is_empty() {
            parts.push(Part::Action(tokens));
        }
    }
}

/// The tokens of an action and what follows them, from its closing on.
fn tokens(text: &str) -> Result<(Vec<Token>, &str), String> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        let spaced = rest.starts_with(char::is_whitespace);
        rest = rest.trim_start();
        if rest.starts_with("}}") || rest.starts_with("-}}") {
            return Ok((out, rest));
        }
        let Some(c) = rest.chars().next() else { return Err("unclosed action".to_owned()) };
        match c {
            '"' | '`' | '\'' => {
                let (value, after) = string(rest, c)?;
                out.push(Token::Literal(Val::Str(value)));
                rest = after;
            }
            '.' if rest[1..].starts_with(|c: char| c == '_' || c.is_alphabetic()) => {
                let path = path(&mut rest);
                let chained = out.last() == Some(&Token::Sym(")")) && !spaced;
                out.push(if chained { Token::Chain(path) } else { Token::Field(path) });
            }
            '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                out.push(Token::Sym("."));
                rest = &rest[1..];
            }
            '$' => {
                let end = 1 + name_end(&rest[1..]);
                let name = rest[..end].to_owned();
                rest = &rest[end..];
                out.push(Token::Variable(name, path(&mut rest)));
            }
            c if c.is_ascii_digit() || c == '.' || c == '-' || c == '+' => {
                let end = 1 + rest[1..]
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_'))
                    .unwrap_or(rest.len() - 1);
                out.push(Token::Literal(number(&rest[..end])?));
                rest = &rest[end..];
            }
            c if c == '_' || c.is_alphabetic() => {
                let end = name_end(rest);
                out.push(Token::Word(rest[..end].to_owned()));
                rest = &rest[end..];
            }
            _ => match [":=", "=", "|", "(", ")", ","].iter().find(|s| rest.starts_with(**s)) {
                Some(s) => {
                    out.push(Token::Sym(s));
                    rest = &rest[s.len()..];
                }
                None => return Err(format!("unexpected {c:?} in an action")),
            },
        }
    }
}

fn name_end(text: &str) -> usize {
    text.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(text.len())
}

/// The names of `.a.b`, without a space between.
fn path(rest: &mut &str) -> Vec<String> {
    let mut out = Vec::new();
    while let Some(after) = rest.strip_prefix('.') {
        if !after.starts_with(|c: char| c == '_' || c.is_alphabetic()) {
            break;
        }
        let end = name_end(after);
        out.push(after[..end].to_owned());
        *rest = &after[end..];
    }
    out
}

fn number(text: &str) -> Result<Val, String> {
    let plain = text.replace('_', "");
    if let Ok(i) = plain.parse::<i64>() {
        return Ok(Val::Int(i));
    }
    if let Some(hex) = plain.strip_prefix("0x")
        && let Ok(i) = i64::from_str_radix(hex, 16)
    {
        return Ok(Val::Int(i));
    }
    plain.parse().map(Val::Float).map_err(|_| format!("bad number {text:?}"))
}

fn string(text: &str, quote: char) -> Result<(String, &str), String> {
    let unclosed = || "a string of the template does not end".to_owned();
    if quote == '`' {
        let (value, after) = text[1..].split_once('`').ok_or_else(unclosed)?;
        return Ok((value.to_owned(), after));
    }
    let mut end = 1;
    let bytes = text.as_bytes();
    loop {
        match bytes.get(end) {
            None => return Err(unclosed()),
            Some(b'\\') => end += 2,
            Some(b) if *b as char == quote => break,
            Some(_) => end += 1,
        }
    }
    let body = &text[..=end];
    // The escapes are those of a query's strings.
    let lexed = if quote == '\'' {
        return Ok((body[1..end].replace("\\'", "'"), &text[end + 1..]));
    } else {
        crate::lex::lex(body).map_err(|e| e.message)?
    };
    match lexed.tokens.into_iter().next() {
        Some((crate::lex::Token::Str(s), _)) => Ok((s, &text[end + 1..])),
        _ => Err(unclosed()),
    }
}

/// Nodes up to the end of the text, or up to an `end` or `else`, whose tokens are returned.
fn block(
    parts: &mut std::vec::IntoIter<Part>,
    depth: usize,
) -> Result<(Vec<Node>, Option<Vec<Token>>), String> {
    if depth > MAX_DEPTH {
        return Err(format!("nested deeper than {MAX_DEPTH} levels"));
    }
    let mut nodes = Vec::new();
    while let Some(part) = parts.next() {
        let tokens = match part {
            Part::Text(t) => {
                nodes.push(Node::Text(t));
                continue;
            }
            Part::Action(t) => t,
        };
        let word = match tokens.first() {
            Some(Token::Word(w)) => w.as_str(),
            _ => "",
        };
        match word {
            "end" | "else" => return Ok((nodes, Some(tokens))),
            "if" | "with" | "range" => {
                let word = word.to_owned();
                nodes.push(control(&word, &tokens[1..], parts, depth)?);
            }
            "define" | "template" | "block" | "break" | "continue" => {
                return Err(format!("not yet supported: {word}"));
            }
            _ => nodes.push(Node::Action(pipe_of(&tokens)?)),
        }
    }
    Ok((nodes, None))
}

fn control(
    word: &str,
    condition: &[Token],
    parts: &mut std::vec::IntoIter<Part>,
    depth: usize,
) -> Result<Node, String> {
    let pipe = pipe_of(condition)?;
    let (body, end) = block(parts, depth + 1)?;
    let unclosed = || format!("{{{{{word}}}}} has no {{{{end}}}}");
    let end = end.ok_or_else(unclosed)?;
    let mut otherwise = Vec::new();
    if end.first() == Some(&Token::Word("else".to_owned())) {
        match &end[1..] {
            [] => {
                let (nodes, end) = block(parts, depth + 1)?;
                if end.ok_or_else(unclosed)?.first() != Some(&Token::Word("end".to_owned())) {
                    return Err("expected {{end}} after {{else}}".to_owned());
                }
                otherwise = nodes;
            }
            // `else if` shares the `end` of the whole chain.
            [Token::Word(w), condition @ ..] if w == "if" || w == "with" => {
                otherwise.push(control(w, condition, parts, depth + 1)?);
            }
            _ => return Err("unexpected words after else".to_owned()),
        }
    }
    Ok(match word {
        "if" => Node::If(pipe, body, otherwise),
        "with" => Node::With(pipe, body, otherwise),
        _ => Node::Range(pipe, body, otherwise),
    })
}

fn pipe_of(tokens: &[Token]) -> Result<Pipe, String> {
    let mut at = 0;
    let pipe = pipe(tokens, &mut at, 0)?;
    if at < tokens.len() {
        return Err("unexpected ) in an action".to_owned());
    }
    Ok(pipe)
}

fn pipe(tokens: &[Token], at: &mut usize, depth: usize) -> Result<Pipe, String> {
    if depth > MAX_DEPTH {
        return Err(format!("nested deeper than {MAX_DEPTH} levels"));
    }
    let mut p = Pipe { variables: Vec::new(), declares: false, commands: Vec::new() };
    let assigns = |t: Option<&Token>| matches!(t, Some(Token::Sym(":=" | "=")));
    match &tokens[*at..] {
        [Token::Variable(a, _), t, ..] if assigns(Some(t)) => {
            p.variables.push(a.clone());
            p.declares = *t == Token::Sym(":=");
            *at += 2;
        }
        [Token::Variable(a, _), Token::Sym(","), Token::Variable(b, _), t, ..] if assigns(Some(t)) => {
            p.variables.extend([a.clone(), b.clone()]);
            p.declares = *t == Token::Sym(":=");
            *at += 4;
        }
        _ => {}
    }
    loop {
        let mut command = Vec::new();
        while let Some(t) = tokens.get(*at) {
            if matches!(t, Token::Sym("|" | ")")) {
                break;
            }
            command.push(operand(tokens, at, depth)?);
        }
        if command.is_empty() {
            return Err("missing value for command".to_owned());
        }
        check_command(&command, !p.commands.is_empty())?;
        p.commands.push(command);
        match tokens.get(*at) {
            Some(Token::Sym("|")) => *at += 1,
            _ => return Ok(p),
        }
    }
}

fn check_command(command: &[Operand], piped: bool) -> Result<(), String> {
    match command.first() {
        Some(Operand::Call(_)) => Ok(()),
        _ if command.len() > 1 || piped => Err("only a function can be given arguments".to_owned()),
        _ => Ok(()),
    }
}

fn operand(tokens: &[Token], at: &mut usize, depth: usize) -> Result<Operand, String> {
    let token = &tokens[*at];
    *at += 1;
    Ok(match token {
        Token::Literal(v) => Operand::Literal(v.clone()),
        Token::Sym(".") => Operand::Dot,
        Token::Field(path) => Operand::Field(path.clone()),
        Token::Variable(v, path) => Operand::Variable(v.clone(), path.clone()),
        Token::Chain(_) => return Err("unexpected field in an action".to_owned()),
        Token::Word(w) => match w.as_str() {
            "true" | "false" => Operand::Literal(Val::Bool(w == "true")),
            "nil" => Operand::Literal(Val::Nil),
            _ if functions::exists(w) => Operand::Call(w.clone()),
            _ => return Err(format!("function {w:?} not defined")),
        },
        Token::Sym("(") => {
            let inner = pipe(tokens, at, depth + 1)?;
            if tokens.get(*at) != Some(&Token::Sym(")")) {
                return Err("unclosed left paren".to_owned());
            }
            *at += 1;
            let path = match tokens.get(*at) {
                Some(Token::Chain(path)) => {
                    *at += 1;
                    path.clone()
                }
                _ => Vec::new(),
            };
            Operand::Group(Box::new(inner), path)
        }
        Token::Sym(s) => return Err(format!("unexpected {s:?} in an action")),
    })
}
