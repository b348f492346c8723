//! From words to a tree, by precedence (FHIRPath N1, section 6.8).

use super::CompileError;
use super::decimal::Decimal;
use super::lexer::{Token, Word, words};
use super::moment::Moment;
use super::quantity::{Period, Quantity, Unit};

/// Nested deeper than this is no invariant; everything that follows a tree recurses.
const DEPTH_MAX: u16 = 120;

/// Expressions within expressions while reading, of which each level of precedence is one.
const NESTED_MAX: u16 = 250;

/// A part of an expression and how many parts it nests.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) ast: Ast,
    depth: u16,
}

#[derive(Debug)]
pub(super) enum Ast {
    /// `{}`
    Nothing,
    Boolean(bool),
    Text(String),
    Integer(i64),
    Decimal(Decimal),
    Moment(Moment),
    Quantity(Quantity<'static>),
    /// `$this`, `$index`, `$total`
    Dollar(String),
    /// `%resource`
    Percent(String),
    Member(Option<Box<Tree>>, String),
    Call(Option<Box<Tree>>, String, Vec<Tree>),
    Index(Box<Tree>, Box<Tree>),
    Sign(Box<Tree>, bool),
    Binary(Operator, Box<Tree>, Box<Tree>),
    /// Operands of `or`, `and` or `|` in a row.
    Many(Operator, Vec<Tree>),
    /// `is` (true) and `as`, with a type's name.
    Typed(Box<Tree>, bool, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Implies,
    Or,
    Xor,
    And,
    In,
    Contains,
    Equal,
    Unequal,
    Equivalent,
    Inequivalent,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Union,
    Plus,
    Minus,
    Concat,
    Times,
    Over,
    Div,
    Mod,
}

/// Binary operators from the weakest: level, word, operator. `is` and `as` stand at their own level.
const OPERATORS: &[(u8, &str, Operator)] = &[
    (0, "implies", Operator::Implies),
    (1, "or", Operator::Or),
    (1, "xor", Operator::Xor),
    (2, "and", Operator::And),
    (3, "in", Operator::In),
    (3, "contains", Operator::Contains),
    (4, "=", Operator::Equal),
    (4, "!=", Operator::Unequal),
    (4, "~", Operator::Equivalent),
    (4, "!~", Operator::Inequivalent),
    (5, "<", Operator::Less),
    (5, "<=", Operator::LessOrEqual),
    (5, ">", Operator::Greater),
    (5, ">=", Operator::GreaterOrEqual),
    (6, "|", Operator::Union),
    (8, "+", Operator::Plus),
    (8, "-", Operator::Minus),
    (8, "&", Operator::Concat),
    (9, "*", Operator::Times),
    (9, "/", Operator::Over),
    (9, "div", Operator::Div),
    (9, "mod", Operator::Mod),
];

const TYPE_LEVEL: u8 = 7;
const UNARY_LEVEL: u8 = 10;

type Parsed = Result<Tree, CompileError>;

/// The tree of an expression.
pub(super) fn parse(text: &str) -> Parsed {
    let mut parser = Parser { words: words(text)?, at: 0, nested: 0 };
    let tree = parser.expression(0)?;
    match parser.peek() {
        Word::End => Ok(tree),
        _ => parser.fail("an operator or the end"),
    }
}

struct Parser {
    words: Vec<Token>,
    at: usize,
    nested: u16,
}

impl Parser {
    fn peek(&self) -> &Word {
        // The last word is the end, and nothing goes beyond it.
        &self.words[self.at].word
    }

    fn fail<T>(&self, expected: &'static str) -> Result<T, CompileError> {
        Err(CompileError::Syntax { at: self.words[self.at].at, expected })
    }

    fn take(&mut self) -> Word {
        let word = self.peek().clone();
        self.at = (self.at + 1).min(self.words.len() - 1);
        word
    }

    fn accept(&mut self, mark: &'static str) -> bool {
        let found = matches!(self.peek(), Word::Mark(own) if *own == mark);
        if found {
            self.take();
        }
        found
    }

    fn expect(&mut self, mark: &'static str) -> Result<(), CompileError> {
        if self.accept(mark) { Ok(()) } else { self.fail(mark) }
    }

    /// A tree over parts of which the deepest is so deep.
    fn tree(ast: Ast, depth: u16) -> Parsed {
        if DEPTH_MAX <= depth { Err(CompileError::TooDeep) } else { Ok(Tree { ast, depth: depth + 1 }) }
    }

    fn operator(&self) -> Option<(u8, Operator)> {
        let word = match self.peek() {
            Word::Name(name) => name.as_str(),
            Word::Mark(mark) => mark,
            _ => return None,
        };
        OPERATORS.iter().find(|row| row.1 == word).map(|row| (row.0, row.2))
    }

    /// An expression whose operators bind at least as strongly as `level`.
    fn expression(&mut self, level: u8) -> Parsed {
        self.nested += 1;
        if NESTED_MAX < self.nested {
            return Err(CompileError::TooDeep);
        }
        let mut left = self.unary()?;
        loop {
            if let (Word::Name(name), true) = (self.peek(), level <= TYPE_LEVEL)
                && (name == "is" || name == "as")
            {
                let is = name == "is";
                self.take();
                let kind = self.type_name()?;
                let depth = left.depth;
                left = Self::tree(Ast::Typed(Box::new(left), is, kind), depth)?;
                continue;
            }
            let Some((own, operator)) = self.operator().filter(|(own, _)| level <= *own) else { break };
            self.take();
            left = self.operands(left, own, operator)?;
        }
        self.nested -= 1;
        Ok(left)
    }

    /// What stands right of an operator. Rows of `or`, `and` and `|` become one list, however long they are.
    fn operands(&mut self, left: Tree, level: u8, operator: Operator) -> Parsed {
        let right = self.expression(level + 1)?;
        if !matches!(operator, Operator::Or | Operator::And | Operator::Union) {
            let depth = left.depth.max(right.depth);
            let ast = Ast::Binary(operator, Box::new(left), Box::new(right));
            return Self::tree(ast, depth);
        }
        let mut parts = vec![left, right];
        while self.operator() == Some((level, operator)) {
            self.take();
            parts.push(self.expression(level + 1)?);
        }
        let depth = parts.iter().map(|part| part.depth).max().unwrap_or(0);
        Self::tree(Ast::Many(operator, parts), depth)
    }

    fn unary(&mut self) -> Parsed {
        for (mark, negative) in [("-", true), ("+", false)] {
            if self.accept(mark) {
                let inner = self.expression(UNARY_LEVEL)?;
                let depth = inner.depth;
                let ast = Ast::Sign(Box::new(inner), negative);
                return Self::tree(ast, depth);
            }
        }
        self.invocations()
    }

    /// A term and what is asked of it: `.name`, `.function()`, `[index]`.
    fn invocations(&mut self) -> Parsed {
        let mut left = self.term()?;
        loop {
            if self.accept(".") {
                left = self.invocation(Some(left))?;
            } else if self.accept("[") {
                let index = self.expression(0)?;
                self.expect("]")?;
                let depth = left.depth.max(index.depth);
                let ast = Ast::Index(Box::new(left), Box::new(index));
                left = Self::tree(ast, depth)?;
            } else {
                return Ok(left);
            }
        }
    }

    /// A name, or a function with what it is given. Keywords are names here: `text.div` is in published invariants.
    fn invocation(&mut self, on: Option<Tree>) -> Parsed {
        let depth = on.as_ref().map_or(0, |tree| tree.depth);
        let on = on.map(Box::new);
        let (name, is_quoted) = match self.take() {
            Word::Name(name) => (name, false),
            Word::Quoted(name) => (name, true),
            Word::Dollar(name) => {
                let known = on.is_some() && name == "this";
                // `a.$this` is a itself.
                return match on {
                    Some(tree) if known => Ok(*tree),
                    _ => self.fail("a name"),
                };
            }
            _ => return self.fail("a name"),
        };
        if is_quoted || !self.accept("(") {
            return Self::tree(Ast::Member(on, name), depth);
        }
        let mut given = Vec::new();
        if !self.accept(")") {
            given.push(self.expression(0)?);
            while self.accept(",") {
                given.push(self.expression(0)?);
            }
            self.expect(")")?;
        }
        let depth = given.iter().map(|tree| tree.depth).fold(depth, u16::max);
        Self::tree(Ast::Call(on, name, given), depth)
    }

    fn term(&mut self) -> Parsed {
        let ast = match self.peek().clone() {
            Word::Name(name) if name == "true" || name == "false" => {
                self.take();
                Ast::Boolean(name == "true")
            }
            Word::Name(_) | Word::Quoted(_) => return self.invocation(None),
            Word::Mark("(") => {
                self.take();
                let inner = self.expression(0)?;
                self.expect(")")?;
                return Ok(inner);
            }
            Word::Mark("{") => {
                self.take();
                self.expect("}")?;
                Ast::Nothing
            }
            word => {
                let Some(ast) = self.literal(word) else { return self.fail("an expression") };
                ast
            }
        };
        Self::tree(ast, 0)
    }

    fn literal(&mut self, word: Word) -> Option<Ast> {
        let ast = match word {
            Word::Text(text) => Ast::Text(text),
            Word::Moment(moment) => Ast::Moment(moment),
            Word::Dollar(name) => Ast::Dollar(name),
            Word::Percent(name) => Ast::Percent(name),
            Word::Integer(number) => {
                self.take();
                return Some(self.measured(Decimal::from(number)).unwrap_or(Ast::Integer(number)));
            }
            Word::Decimal(number) => {
                self.take();
                return Some(self.measured(number).unwrap_or(Ast::Decimal(number)));
            }
            _ => return None,
        };
        self.take();
        Some(ast)
    }

    /// A number followed by a unit.
    fn measured(&mut self, value: Decimal) -> Option<Ast> {
        let unit = match self.peek() {
            Word::Text(code) => Unit::Ucum(code.clone().into()),
            Word::Name(word) => Unit::Calendar(Period::of_word(word)?),
            _ => return None,
        };
        self.take();
        Some(Ast::Quantity(Quantity { value, unit }))
    }

    /// `Patient`, `FHIR.Patient`, `System.String`
    fn type_name(&mut self) -> Result<String, CompileError> {
        let mut found = String::new();
        loop {
            match self.take() {
                Word::Name(name) | Word::Quoted(name) => found.push_str(&name),
                _ => return self.fail("the name of a type"),
            }
            if found.contains('.') || !self.accept(".") {
                return Ok(found);
            }
            found.push('.');
        }
    }
}

impl Tree {
    /// The name of a type that stands as an argument: `ofType(FHIR.Patient)`.
    pub(super) fn type_name(&self) -> Option<String> {
        match &self.ast {
            Ast::Member(None, name) => Some(name.clone()),
            Ast::Member(Some(on), name) => Some(format!("{}.{name}", on.type_name()?)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> String {
        fn show(tree: &Tree) -> String {
            match &tree.ast {
                Ast::Integer(number) => number.to_string(),
                Ast::Member(None, name) => name.clone(),
                Ast::Member(Some(on), name) => format!("{}.{name}", show(on)),
                Ast::Call(on, name, given) => {
                    let on = on.as_ref().map(|on| show(on) + ".").unwrap_or_default();
                    format!("{on}{name}({})", given.iter().map(show).collect::<Vec<_>>().join(" "))
                }
                Ast::Sign(inner, _) => format!("-({})", show(inner)),
                Ast::Binary(operator, left, right) => format!("({} {operator:?} {})", show(left), show(right)),
                Ast::Many(operator, parts) => {
                    format!("({operator:?} {})", parts.iter().map(show).collect::<Vec<_>>().join(" "))
                }
                Ast::Typed(inner, is, name) => format!("({} {} {name})", show(inner), if *is { "is" } else { "as" }),
                other => format!("{other:?}"),
            }
        }
        parse(text).map(|tree| show(&tree)).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn operators_bind_as_the_grammar_says() {
        assert_eq!(shape("1 + 2 * 3 + 4"), "((1 Plus (2 Times 3)) Plus 4)");
        assert_eq!(shape("a or b or c and d implies e"), "((Or a b (And c d)) Implies e)");
        assert_eq!(shape("a xor b or c"), "(Or (a Xor b) c)");
        assert_eq!(shape("1 > 2 is Boolean"), "(1 Greater (2 is Boolean))");
        assert_eq!(shape("1 | 1 is System.Integer"), "(Union 1 (1 is System.Integer))");
        assert_eq!(shape("-a.b()"), "-(a.b())");
        assert_eq!(shape("a.contains(b) contains c.`is`.as(d)"), "(a.contains(b) Contains c.is.as(d))");
        assert_eq!(shape("a = b in c"), "((a Equal b) In c)");
        assert_eq!(shape("a - b - c"), "((a Minus b) Minus c)");
    }

    #[test]
    fn what_is_no_expression_is_told_with_its_place() {
        for (text, at) in
            [("2 + 2 /", 7), ("a b", 2), ("a.", 2), ("(a", 2), ("'a", 2), ("@20", 3), ("a[1", 3), ("#", 0)]
        {
            assert!(
                matches!(parse(text), Err(CompileError::Syntax { at: found, .. }) if found == at),
                "{text}: {:?}",
                parse(text)
            );
        }
    }

    #[test]
    fn no_text_exhausts_the_stack() {
        for (open, close) in [("(", ")"), ("-", ""), ("a.where(", ")"), ("a[", "]"), ("1+", ""), ("a implies ", "")] {
            let text = format!("{}1{}", open.repeat(9000), close.repeat(9000));
            assert!(matches!(parse(&text), Err(CompileError::TooDeep | CompileError::TooLarge)), "{open}");
        }
        assert!(parse(&format!("1{}", " or a".repeat(5000))).is_ok());
        assert!(matches!(parse(&format!("a{}", ".a".repeat(5000))), Err(CompileError::TooDeep)));
    }
}
