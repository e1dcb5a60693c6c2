//! Nodes to text.

use super::{
    MAX_OUTPUT, MAX_STEPS, Template,
    functions::{self, Call},
    parse::{Node, Operand, Pipe},
    value::Val,
};
use crate::pipeline::Row;

struct Exec<'a> {
    template: &'a Template,
    row: &'a Row<'a>,
    out: String,
    steps: usize,
    variables: Vec<(String, Val)>,
    /// All labels as a map, made when a template asks for the whole of it.
    labels: Option<Val>,
}

/// What `.` is: the labels at first, inside `range` and `with` a value.
#[derive(Clone)]
enum Dot {
    Labels,
    Value(Val),
}

type Done<T = ()> = Result<T, String>;

pub(super) fn render(template: &Template, row: &Row<'_>) -> Result<String, String> {
    let mut exec = Exec { template, row, out: String::new(), steps: 0, variables: Vec::new(), labels: None };
    exec.nodes(&template.nodes, &Dot::Labels)?;
    Ok(exec.out)
}

impl Exec<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Dot) -> Done {
        nodes.iter().try_for_each(|n| self.node(n, dot))
    }

    fn write(&mut self, text: &str) -> Done {
        if self.out.len() + text.len() > MAX_OUTPUT {
            return Err(format!("the result is longer than {MAX_OUTPUT} bytes"));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn step(&mut self) -> Done {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(format!("the template takes more than {MAX_STEPS} steps"));
        }
        Ok(())
    }

    fn node(&mut self, node: &Node, dot: &Dot) -> Done {
        self.step()?;
        let scope = self.variables.len();
        match node {
            Node::Text(t) => self.write(t)?,
            Node::Action(pipe) => {
                let v = self.pipe(pipe, dot)?;
                // An action that only sets a variable prints nothing; its variable outlives it.
                if pipe.variables.is_empty() {
                    self.write(&v.print())?;
                }
                return Ok(());
            }
            Node::If(pipe, then, otherwise) => {
                let branch = if self.pipe(pipe, dot)?.is_true() { then } else { otherwise };
                self.nodes(branch, dot)?;
            }
            Node::With(pipe, then, otherwise) => {
                let v = self.pipe(pipe, dot)?;
                if v.is_true() {
                    self.nodes(then, &Dot::Value(v))?;
                } else {
                    self.nodes(otherwise, dot)?;
                }
            }
            Node::Range(pipe, body, otherwise) => self.range(pipe, body, otherwise, dot)?,
        }
        self.variables.truncate(scope);
        Ok(())
    }

    fn range(&mut self, pipe: &Pipe, body: &[Node], otherwise: &[Node], dot: &Dot) -> Done {
        let bare = Pipe { variables: Vec::new(), ..pipe.clone() };
        let items: Vec<(Val, Val)> = match self.pipe(&bare, dot)? {
            Val::List(l) => l.into_iter().enumerate().map(|(i, v)| (Val::Int(i as i64), v)).collect(),
            Val::Map(mut m) => {
                m.sort_by(|a, b| a.0.cmp(&b.0));
                m.into_iter().map(|(k, v)| (Val::Str(k), v)).collect()
            }
            Val::Int(n) => (0..n.clamp(0, MAX_STEPS as i64)).map(|i| (Val::Int(i), Val::Int(i))).collect(),
            Val::Nil => Vec::new(),
            other => return Err(format!("range can't iterate over {}", other.print())),
        };
        if items.is_empty() {
            return self.nodes(otherwise, dot);
        }
        for (key, value) in items {
            self.step()?;
            let scope = self.variables.len();
            match pipe.variables.as_slice() {
                [v] => self.variables.push((v.clone(), value.clone())),
                [k, v, ..] => {
                    self.variables.push((k.clone(), key));
                    self.variables.push((v.clone(), value.clone()));
                }
                [] => {}
            }
            self.nodes(body, &Dot::Value(value))?;
            self.variables.truncate(scope);
        }
        Ok(())
    }

    fn pipe(&mut self, pipe: &Pipe, dot: &Dot) -> Done<Val> {
        let mut last: Option<Val> = None;
        for command in &pipe.commands {
            last = Some(self.command(command, last, dot)?);
        }
        let value = last.unwrap_or(Val::Nil);
        if let Some(name) = pipe.variables.first() {
            match self.variables.iter_mut().rev().find(|(n, _)| n == name) {
                Some((_, v)) if !pipe.declares => *v = value.clone(),
                None if !pipe.declares => return Err(format!("undefined variable {name:?}")),
                _ => self.variables.push((name.clone(), value.clone())),
            }
        }
        Ok(value)
    }

    fn command(&mut self, command: &[Operand], piped: Option<Val>, dot: &Dot) -> Done<Val> {
        self.step()?;
        match command {
            [Operand::Call(name), args @ ..] => {
                // `and` and `or` stop at the first argument that decides.
                if name == "and" || name == "or" {
                    return self.lazily(name == "or", args, piped, dot);
                }
                let mut values = args.iter().map(|a| self.operand(a, dot)).collect::<Result<Vec<_>, _>>()?;
                values.extend(piped);
                functions::call(&Call { name, args: values, template: self.template, row: self.row })
            }
            [single] => self.operand(single, dot),
            _ => Err("only a function can be given arguments".to_owned()),
        }
    }

    fn lazily(&mut self, until: bool, args: &[Operand], piped: Option<Val>, dot: &Dot) -> Done<Val> {
        let mut last = Val::Nil;
        for a in args {
            last = self.operand(a, dot)?;
            if last.is_true() == until {
                return Ok(last);
            }
        }
        Ok(piped.unwrap_or(last))
    }

    fn operand(&mut self, operand: &Operand, dot: &Dot) -> Done<Val> {
        match operand {
            Operand::Literal(v) => Ok(v.clone()),
            Operand::Dot => Ok(self.dot(dot)),
            Operand::Field(path) => match dot {
                Dot::Labels => self.label(path),
                Dot::Value(v) => descend(v.clone(), path),
            },
            Operand::Variable(name, path) if name == "$" => match path.as_slice() {
                [] => Ok(self.dot(&Dot::Labels)),
                path => self.label(path),
            },
            Operand::Variable(name, path) => {
                let found = self.variables.iter().rev().find(|(n, _)| n == name);
                let value = found.ok_or_else(|| format!("undefined variable {name:?}"))?.1.clone();
                descend(value, path)
            }
            Operand::Call(name) => {
                functions::call(&Call { name, args: Vec::new(), template: self.template, row: self.row })
            }
            Operand::Group(pipe, path) => {
                let value = self.pipe(pipe, dot)?;
                descend(value, path)
            }
        }
    }

    fn label(&self, path: &[String]) -> Done<Val> {
        match path {
            [name] => Ok(Val::from(self.row.labels.get(name).unwrap_or(""))),
            _ => Err(format!("can't evaluate field {:?} in a label's value", path.join("."))),
        }
    }

    fn dot(&mut self, dot: &Dot) -> Val {
        match dot {
            Dot::Value(v) => v.clone(),
            Dot::Labels => {
                let row = self.row;
                self.labels
                    .get_or_insert_with(|| {
                        Val::Map(row.labels.iter().map(|(n, v)| (n.to_owned(), Val::from(v))).collect())
                    })
                    .clone()
            }
        }
    }
}

/// Members of members; what is not there is nothing, but a value that has no members is an error.
fn descend(value: Val, path: &[String]) -> Done<Val> {
    let mut value = value;
    for name in path {
        value = match value {
            Val::Nil => Val::Nil,
            map @ Val::Map(_) => map.field(name).unwrap_or(Val::Nil),
            other => return Err(format!("can't evaluate field {name:?} in {}", other.print())),
        };
    }
    Ok(value)
}
