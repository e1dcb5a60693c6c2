//! What a statement may be, decided before anybody recurses into it.
//!
//! Two things grow without bound where nobody counts. The parser takes some words for the begin of an expression of their own and,
//! where that fails, for a name, and tries both at every level: what such words nest is bounded by [`MAX_NESTED`]. And
//! chains such as `1+1+1+…` become trees as deep as they are long. Every link of a chain needs a token that is neither a
//! literal nor a comma, so counting those bounds the depth of every tree, while a list of a thousand ids stays allowed.

use datafusion::sql::{
    parser::Statement,
    sqlparser::{
        ast::Statement as Ast,
        dialect::GenericDialect,
        tokenizer::{Token, Tokenizer},
    },
};

use crate::Error;

/// Bytes of a statement. Functions can multiply texts, so what a statement brings along has to be small.
const MAX_BYTES: usize = 64 << 10;
/// Tokens that can make a tree deeper. More: planning takes stack and time that grow with it.
const MAX_LINKS: usize = 600;

/// Words of [`BEGINNINGS`] inside each other. Each level more doubles the time the parser takes for what it cannot read.
const MAX_NESTED: usize = 10;
/// Words that begin an expression, and may be names.
const BEGINNINGS: [&str; 28] = [
    "ARRAY",
    "CASE",
    "CAST",
    "CEIL",
    "CONVERT",
    "DATE",
    "EXISTS",
    "EXTRACT",
    "FLOOR",
    "GROUPING",
    "INTERVAL",
    "LAMBDA",
    "MAP",
    "MATCH",
    "OVERLAY",
    "POSITION",
    "PRIOR",
    "SAFE_CAST",
    "STRUCT",
    "SUBSTR",
    "SUBSTRING",
    "TIME",
    "TIMESTAMP",
    "TRIM",
    "TRY_CAST",
    "TRY_CONVERT",
    "TUPLE",
    "XMLCONCAT",
];

/// Refuses what is too large to be looked at.
pub(crate) fn check_size(statement: &str) -> Result<(), Error> {
    if statement.len() > MAX_BYTES {
        return Err(Error::TooLarge { what: "bytes", found: statement.len(), most: MAX_BYTES });
    }
    let tokens = Tokenizer::new(&GenericDialect {}, statement)
        .tokenize()
        .map_err(|e| Error::Statement(format!("reading the statement: {e}")))?;
    let links = tokens.iter().filter(|t| is_link(t)).count();
    if links > MAX_LINKS {
        let what = "words and operators beside literals";
        return Err(Error::TooLarge { what, found: links, most: MAX_LINKS });
    }
    let nested = nested(&tokens);
    match nested > MAX_NESTED {
        true => Err(Error::TooLarge {
            what: "levels of CASE, CAST and the like",
            found: nested,
            most: MAX_NESTED,
        }),
        false => Ok(()),
    }
}

/// How many words of [`BEGINNINGS`] stand open inside each other at most. One that a literal or something else than an
/// expression follows opens nothing; one ends with its bracket, with the one around it or, where it is CASE, with END.
fn nested(tokens: &[Token]) -> usize {
    let words: Vec<&Token> = tokens.iter().filter(|t| !matches!(t, Token::Whitespace(_))).collect();
    let (mut open, mut brackets, mut most) = (Vec::<(usize, bool)>::new(), 0usize, 0);
    for (at, token) in words.iter().enumerate() {
        match token {
            Token::LParen | Token::LBracket => brackets += 1,
            Token::RParen | Token::RBracket => {
                brackets = brackets.saturating_sub(1);
                // A call stood before the bracket that ends here, all else inside it.
                open.retain(|(depth, is_case)| *depth < brackets || (*depth == brackets && *is_case));
            }
            Token::Word(w) if w.quote_style.is_none() => {
                let word = w.value.to_ascii_uppercase();
                let is_case = word == "CASE";
                let opens = match words.get(at + 1) {
                    Some(Token::LParen | Token::LBracket | Token::Lt) => true,
                    Some(Token::Word(_)) => true,
                    _ => is_case,
                };
                if word == "END" {
                    if let Some(last) = open.iter().rposition(|(_, is_case)| *is_case) {
                        open.truncate(last);
                    }
                } else if opens && BEGINNINGS.contains(&word.as_str()) {
                    open.push((brackets, is_case));
                    most = most.max(open.len());
                }
            }
            Token::Comma => open.retain(|(depth, is_case)| *depth < brackets || *is_case),
            _ => {}
        }
    }
    most
}

fn is_link(token: &Token) -> bool {
    !matches!(
        token,
        Token::Whitespace(_) | Token::Comma | Token::Number(..) | Token::SingleQuotedString(_) | Token::EOF
    )
}

/// Refuses everything but questions. What the plan holds is looked at again, see `engine`.
pub(crate) fn check_kind(statement: &Statement) -> Result<(), Error> {
    let asks = match statement {
        Statement::Statement(ast) => matches!(
            ast.as_ref(),
            Ast::Query(_)
                | Ast::ExplainTable { .. }
                | Ast::ShowTables { .. }
                | Ast::ShowColumns { .. }
                | Ast::ShowFunctions { .. }
        ),
        Statement::Explain(explain) => return check_kind(&explain.statement),
        _ => false,
    };
    match asks {
        true => Ok(()),
        false => Err(Error::Statement(
            "only questions are answered: SELECT, WITH, VALUES, EXPLAIN, SHOW TABLES, SHOW COLUMNS, DESCRIBE"
                .to_owned(),
        )),
    }
}
