//! XML, and the part of XML Schema that the tests' schemas use. An unknown part
//! of a schema fails the test that reads it.

use std::collections::BTreeMap;

use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// An element with its content.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) children: Vec<Element>,
    pub(crate) text: String,
}

impl Element {
    /// Parses a document, which must be well-formed.
    #[track_caller]
    pub(crate) fn read(text: &str) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_end_names = true;
        let mut open = vec![Self::default()];
        loop {
            let event = reader.read_event().expect("it is XML");
            let last = open.last_mut().expect("the document is never closed");
            match event {
                Event::Start(start) => open.push(Self::begun(&start)),
                Event::Empty(start) => last.children.push(Self::begun(&start)),
                Event::End(_) => {
                    let closed = open.pop().expect("it was opened");
                    let parent = open.last_mut().expect("it stands in something");
                    parent.children.push(closed);
                }
                Event::Text(text) => last.text += &text.decode().expect("it is text"),
                Event::CData(text) => last.text += &text.decode().expect("it is text"),
                Event::GeneralRef(name) => {
                    let name = name.decode().expect("it is text");
                    let text = format!("&{name};");
                    last.text += &unescape(&text).expect("it is known");
                }
                Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(open.len(), 1, "everything is closed");
        let mut document = open.remove(0);
        assert_eq!(document.children.len(), 1, "there is one root");
        document.children.remove(0)
    }

    fn begun(start: &BytesStart<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it is text");
        let attributes = start.attributes().map(|attribute| {
            let attribute = attribute.expect("it is an attribute");
            let value = attribute.normalized_value(XmlVersion::Explicit1_0);
            let value = value.expect("it is a value").into_owned();
            (text(attribute.key.as_ref()), value)
        });
        Self {
            name: text(start.name().as_ref()),
            attributes: attributes.collect(),
            ..Self::default()
        }
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    fn children<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Self> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// A schema.
pub(crate) struct Schema(Element);

/// The type of an element.
enum Type<'s> {
    /// Text of a built-in type.
    Simple(&'s str),
    /// Attributes and content.
    Complex(&'s Element),
}

impl Schema {
    pub(crate) fn read(text: &str) -> Self {
        let schema = Element::read(text);
        assert_eq!(schema.name, "xs:schema");
        Self(schema)
    }

    /// Returns the errors of a document.
    pub(crate) fn wrong(&self, root: &Element) -> Vec<String> {
        let mut wrong = Vec::new();
        match self.named("xs:element", &root.name) {
            Some(declared) => self.element(declared, root, &mut wrong),
            None => wrong.push(format!("`{}` is no root", root.name)),
        }
        wrong
    }

    fn named(&self, kind: &str, name: &str) -> Option<&Element> {
        let mut all = self.0.children.iter().filter(|it| it.name == kind);
        all.find(|it| it.attribute("name") == Some(name))
    }

    /// Resolves a declaration, or a reference to one.
    fn declared<'s>(&'s self, element: &'s Element) -> &'s Element {
        match element.attribute("ref") {
            None => element,
            Some(name) => self.named("xs:element", name).expect("it is declared"),
        }
    }

    fn type_of<'s>(&'s self, declared: &'s Element) -> Type<'s> {
        match declared.attribute("type") {
            Some(name) if name.starts_with("xs:") => Type::Simple(name),
            Some(name) => Type::Complex(self.named("xs:complexType", name).expect("it is there")),
            None => {
                let mut inline = declared.children("xs:complexType");
                Type::Complex(inline.next().expect("it has a type"))
            }
        }
    }

    fn element(&self, declared: &Element, element: &Element, wrong: &mut Vec<String>) {
        let name = &element.name;
        let complex = match self.type_of(declared) {
            Type::Complex(complex) => complex,
            Type::Simple(kind) => {
                let plain = element.children.is_empty() && element.attributes.is_empty();
                if !plain || !is(kind, &element.text) {
                    wrong.push(format!("`{name}` is no {kind}"));
                }
                return;
            }
        };
        if complex.attribute("mixed") != Some("true") && !element.text.trim().is_empty() {
            wrong.push(format!("there is text in `{name}`"));
        }
        attributes(complex, element, wrong);
        let mut rest = element.children.as_slice();
        for particle in &complex.children {
            match particle.name.as_str() {
                "xs:attribute" => {}
                _ => rest = self.particle(particle, rest, wrong),
            }
        }
        if let Some(child) = rest.first() {
            wrong.push(format!("`{}` is unexpected in `{name}`", child.name));
        }
    }

    /// Consumes the elements that a particle allows, as often as it may occur;
    /// returns the rest.
    fn particle<'e>(
        &self,
        particle: &Element,
        mut rest: &'e [Element],
        wrong: &mut Vec<String>,
    ) -> &'e [Element] {
        let least: usize = particle
            .attribute("minOccurs")
            .map_or(1, |it| it.parse().unwrap());
        let most = match particle.attribute("maxOccurs") {
            None => 1,
            Some("unbounded") => usize::MAX,
            Some(number) => number.parse().unwrap(),
        };
        let mut times = 0;
        while times < most && self.begins(particle, rest) {
            rest = match particle.name.as_str() {
                "xs:element" => {
                    self.element(self.declared(particle), &rest[0], wrong);
                    &rest[1..]
                }
                "xs:sequence" => {
                    let parts = particle.children.iter();
                    parts.fold(rest, |rest, part| self.particle(part, rest, wrong))
                }
                "xs:choice" => {
                    let mut parts = particle.children.iter();
                    let chosen = parts.find(|part| self.begins(part, rest));
                    self.particle(chosen.expect("it begins with one"), rest, wrong)
                }
                other => panic!("`{other}` is not known here"),
            };
            times += 1;
        }
        if times < least && particle.name == "xs:element" {
            wrong.push(format!("a `{particle:?}` is missing"));
        }
        rest
    }

    /// Returns true if a particle can begin with the next element.
    fn begins(&self, particle: &Element, rest: &[Element]) -> bool {
        let Some(next) = rest.first() else {
            return false;
        };
        match particle.name.as_str() {
            "xs:element" => self.declared(particle).attribute("name") == Some(&*next.name),
            _ => particle.children.iter().any(|part| self.begins(part, rest)),
        }
    }
}

fn attributes(complex: &Element, element: &Element, wrong: &mut Vec<String>) {
    let name = &element.name;
    for declared in complex.children("xs:attribute") {
        let attribute = declared.attribute("name").expect("it has a name");
        match element.attribute(attribute) {
            None if declared.attribute("use") == Some("required") => {
                wrong.push(format!("`{name}` has no `{attribute}`"));
            }
            Some(value) if !is(declared.attribute("type").expect("it has one"), value) => {
                wrong.push(format!("`{attribute}` of `{name}` is `{value}`"));
            }
            _ => {}
        }
    }
    for attribute in element.attributes.keys() {
        let mut declared = complex.children("xs:attribute");
        if !declared.any(|it| it.attribute("name") == Some(attribute)) {
            wrong.push(format!("unknown attribute `{attribute}` of `{name}`"));
        }
    }
}

/// Returns true if a text is of this built-in type.
fn is(kind: &str, text: &str) -> bool {
    match kind {
        "xs:string" => true,
        "xs:nonNegativeInteger" => text.parse::<u64>().is_ok(),
        "xs:decimal" => {
            let digits = text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.');
            digits && text.parse::<f64>().is_ok()
        }
        other => panic!("`{other}` is not known here"),
    }
}
