//! Acknowledgements (2.9): which are wanted, and what they look like.
//!
//! An answer is built from whatever of the header can be read. MSA-2 is the sender's own MSH-10 byte for byte: it is
//! the only thing by which a sender may recognise what is answered, so nothing is trimmed or escaped anew. No part of
//! an answer quotes the message beyond its header.

use std::borrow::Cow;

use super::header::Header;
use super::message::Message;
use super::path::Path;
use super::write::Writer;

/// MSA-1 (table 0008).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// Processed.
    AA,
    /// There is an error in the content: do not send it again as it is.
    AE,
    /// Not now, or not here.
    AR,
    /// Safely stored.
    CA,
    /// Cannot be stored because of its content.
    CE,
    /// Cannot be stored now, or not here.
    CR,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::AA, Self::AE, Self::AR, Self::CA, Self::CE, Self::CR];

    /// The two letters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AA => "AA",
            Self::AE => "AE",
            Self::AR => "AR",
            Self::CA => "CA",
            Self::CE => "CE",
            Self::CR => "CR",
        }
    }

    /// AA or CA.
    pub fn is_success(self) -> bool {
        matches!(self, Self::AA | Self::CA)
    }

    /// Reads the two letters.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str().as_bytes() == bytes)
    }
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Well.
    Accepted,
    /// The content is wrong: AE, CE.
    Error,
    /// Not supported, or not now: AR, CR.
    Rejected,
}

/// When an acknowledgement is wanted (table 0155).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// AL
    Always,
    /// NE, and empty where the other one is valued.
    Never,
    /// ER
    OnError,
    /// SU
    OnSuccess,
}

impl When {
    fn read(bytes: &[u8]) -> Self {
        match bytes {
            b"AL" => Self::Always,
            b"ER" => Self::OnError,
            b"SU" => Self::OnSuccess,
            _ => Self::Never,
        }
    }

    fn wants(self, verdict: Verdict) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::OnError => verdict != Verdict::Accepted,
            Self::OnSuccess => verdict == Verdict::Accepted,
        }
    }
}

/// What the sender wants to hear (MSH-15, MSH-16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One of AA, AE, AR.
    Original,
    /// An accept acknowledgement, an application acknowledgement, both or none.
    Enhanced {
        /// MSH-15
        accept: When,
        /// MSH-16
        application: When,
    },
}

impl Mode {
    /// What the sender of a message wants.
    pub fn of(header: &Header<'_>) -> Self {
        match (header.raw(15), header.raw(16)) {
            (b"", b"") => Self::Original,
            (accept, application) => {
                Self::Enhanced { accept: When::read(accept), application: When::read(application) }
            }
        }
    }

    /// The answers to give: at the accept level and at the application level, in this order.
    pub fn answers(self, verdict: Verdict) -> [Option<Code>; 2] {
        let (commit, done) = match verdict {
            Verdict::Accepted => (Code::CA, Code::AA),
            Verdict::Error => (Code::CE, Code::AE),
            Verdict::Rejected => (Code::CR, Code::AR),
        };
        match self {
            Self::Original => [None, Some(done)],
            Self::Enhanced { accept, application } => {
                [accept.wants(verdict).then_some(commit), application.wants(verdict).then_some(done)]
            }
        }
    }
}

/// Something that is wrong, for ERR. No patient data.
#[derive(Clone, Copy, Debug, Default)]
pub struct Problem<'a> {
    /// Where; `None`: the message as a whole.
    pub place: Option<Path>,
    /// Table 0357.
    pub code: u16,
    /// Information or a warning only; otherwise an error.
    pub lenient: bool,
    /// The permanent code of the application (`ONW-…`); empty: none.
    pub application_code: &'a str,
    /// What to do, in words.
    pub text: &'a str,
}

/// An answer.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// MSA-1
    pub code: Code,
    /// MSH-10 of the answer: new, at most twenty characters.
    pub control_id: &'a str,
    /// MSH-7: now, in the form of HL7.
    pub at: &'a str,
    /// MSA-3; empty: none. No patient data.
    pub text: &'a str,
    /// What is wrong.
    pub problems: &'a [Problem<'a>],
    /// MSH-12 where the message does not say.
    pub version: &'a str,
}

impl Reply<'_> {
    /// The bytes of the answer to a message.
    pub fn render(&self, header: &Header<'_>) -> Vec<u8> {
        let mut writer = Writer::new(header.delimiters());
        let version = header.component(12, 1);
        let version = std::str::from_utf8(version).ok().filter(|it| !it.is_empty()).unwrap_or(self.version);
        self.header(&mut writer, header, version);
        writer.segment("MSA").text(1, self.code.as_str()).raw(2, &framable(header.control_id())).text(3, self.text);
        for problem in self.problems {
            problem.write(&mut writer, version);
        }
        writer.finish()
    }

    fn header(&self, writer: &mut Writer, header: &Header<'_>, version: &str) {
        let mut msh = writer.segment("MSH");
        for (field, swapped) in [(3, 5), (4, 6), (5, 3), (6, 4)] {
            msh.raw(field, &framable(header.raw(swapped)));
        }
        msh.text(7, self.at);
        match header.component(9, 2) {
            event if !event.is_empty() && !matches!(version, "2.1" | "2.2" | "2.3") => {
                let separator = [header.delimiters().component];
                msh.raw(9, &framable(&[b"ACK", event, b"ACK"].join(&separator[..])))
            }
            _ => msh.text(9, "ACK"),
        };
        msh.text(10, self.control_id).raw(11, &framable(header.raw(11)));
        match header.raw(12) {
            b"" => msh.text(12, version),
            said => msh.raw(12, &framable(said)),
        };
        msh.raw(18, &framable(header.raw(18)));
    }
}

/// What is said back, without the bytes that begin and end a frame: an answer that holds them could not be sent, and
/// its message would come again for ever.
pub fn framable(bytes: &[u8]) -> Cow<'_, [u8]> {
    let edge = |byte: &u8| matches!(byte, 0x0B | 0x1C);
    if bytes.iter().any(edge) { bytes.iter().copied().filter(|byte| !edge(byte)).collect() } else { bytes.into() }
}

impl Problem<'_> {
    /// ERR as versions up to 2.4 have it, or as later ones do.
    fn write(&self, writer: &mut Writer, version: &str) {
        let code = self.code.to_string();
        let meaning = meaning(self.code);
        let number = |n: u16| if n == 0 { String::new() } else { n.to_string() };
        let place = self.place.map(|it| {
            let name = it.segment.map(char::from).iter().collect::<String>();
            (name, [it.occurrence, it.field, it.repetition, it.component, it.subcomponent].map(number))
        });
        let (name, [occurrence, field, repetition, component, subcomponent]) = place.unwrap_or_default();
        let mut err = writer.segment("ERR");
        if matches!(version, "2.1" | "2.2" | "2.3" | "2.3.1" | "2.4") {
            err.nested(1, &[&[&name], &[&occurrence], &[&field], &[&code, meaning, "HL70357"]]);
            return;
        }
        err.parts(2, &[&name, &occurrence, &field, &repetition, &component, &subcomponent]);
        err.parts(3, &[&code, meaning, "HL70357"]).text(4, if self.lenient { "W" } else { "E" });
        err.text(5, self.application_code).text(8, self.text);
    }
}

/// Table 0357.
pub fn meaning(code: u16) -> &'static str {
    match code {
        0 => "Message accepted",
        100 => "Segment sequence error",
        101 => "Required field missing",
        102 => "Data type error",
        103 => "Table value not found",
        200 => "Unsupported message type",
        201 => "Unsupported event code",
        202 => "Unsupported processing id",
        203 => "Unsupported version id",
        204 => "Unknown key identifier",
        205 => "Duplicate key identifier",
        206 => "Application record locked",
        207 => "Application internal error",
        _ => "",
    }
}

/// What an answer that came back says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// MSA-1; `None`: none of table 0008.
    pub code: Option<Code>,
    /// MSA-2 byte for byte: whose answer it is.
    pub answers: Vec<u8>,
    /// The first error code of table 0357 in ERR, where there is one.
    pub error: Option<u16>,
}

impl Received {
    /// Reads an answer. `None`: it is no HL7 message, or has no MSA.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let message = Message::parse(bytes).ok()?;
        let msa = message.named(*b"MSA").next()?;
        let code = Code::parse(msa.field(1).raw());
        let number = |path| message.get(path).text()?.parse().ok().filter(|code| !meaning(*code).is_empty());
        let error = number(Path::of("ERR-3.1")).or_else(|| number(Path::of("ERR-1.4.1")));
        Some(Self { code, answers: msa.field(2).raw().to_vec(), error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] =
        b"MSH|^~\\&|PAS|RH8|ONWARD|X26|20261121||REF^I12^REF_I12|a\\F\\ 1 |P|2.4|||||GBR|UNICODE UTF-8\rPID|1||\r";

    fn reply(bytes: &[u8], code: Code, problems: &[Problem<'_>]) -> String {
        let reply = Reply { code, control_id: "ID1", at: "20261121120000+0000", text: "", problems, version: "2.4" };
        String::from_utf8(reply.render(&Header::read(bytes))).unwrap()
    }

    #[test]
    fn swaps_the_parties_and_copies_the_control_id_byte_for_byte() {
        let expected = "MSH|^~\\&|ONWARD|X26|PAS|RH8|20261121120000+0000||ACK^I12^ACK|ID1|P|2.4||||||UNICODE UTF-8\r\
                        MSA|AA|a\\F\\ 1 \r";
        assert_eq!(reply(MESSAGE, Code::AA, &[]), expected);
        let read = Received::read(reply(MESSAGE, Code::AA, &[]).as_bytes()).unwrap();
        assert_eq!((read.code, read.answers.as_slice()), (Some(Code::AA), Header::read(MESSAGE).control_id()));
    }

    #[test]
    fn an_answer_never_holds_the_bytes_of_a_frame() {
        let answer = reply(b"MSH|^~\\&|A\x1c|\x0bB|||||ADT^A\x1c28|id\x1c|P\x1c|2.4\x1c\rPID|1\r", Code::AA, &[]);
        assert!(!answer.contains(['\x0b', '\x1c']) && answer.ends_with("MSA|AA|id\r"), "{answer:?}");
    }

    #[test]
    fn answers_in_the_sender_s_delimiters_and_version() {
        let answer = reply(b"MSH$%*!@$A$B$C$D$$$SIU%S12$7$T$2.3\r", Code::AE, &[]);
        assert_eq!(answer, "MSH$%*!@$C$D$A$B$20261121120000+0000$$ACK$ID1$T$2.3\rMSA$AE$7\r");
    }

    #[test]
    fn answers_what_can_hardly_be_read() {
        for bytes in [&b""[..], b"PID|1", b"MSH", b"\xff\x00"] {
            let answer = reply(bytes, Code::AR, &[]);
            assert_eq!(answer, "MSH|^~\\&|||||20261121120000+0000||ACK|ID1||2.4\rMSA|AR\r");
        }
    }

    #[test]
    fn says_what_is_wrong_in_the_form_of_the_version() {
        let problem = Problem {
            place: Some(Path::of("PID-3[2].4")),
            code: 101,
            application_code: "ONW-1234",
            text: "Give the assigning authority.",
            ..Problem::default()
        };
        let old = reply(MESSAGE, Code::AE, &[problem]);
        assert!(old.ends_with("\rERR|PID^1^3^101&Required field missing&HL70357\r"), "{old}");
        let message = String::from_utf8(MESSAGE.to_vec()).unwrap().replace("|2.4|", "|2.5.1|");
        let new = reply(message.as_bytes(), Code::AE, &[problem, Problem { code: 207, ..Problem::default() }]);
        let expected = "\rERR||PID^1^3^2^4|101^Required field missing^HL70357|E|ONW-1234|||Give the assigning authority.\r\
                        ERR|||207^Application internal error^HL70357|E\r";
        assert!(new.ends_with(expected), "{new}");
        assert_eq!(Received::read(old.as_bytes()).unwrap().error, Some(101));
        assert_eq!(Received::read(new.as_bytes()).unwrap().error, Some(101));
    }

    #[test]
    fn gives_the_answers_that_are_wanted() {
        use Code::*;
        let table = [
            ("", "", [None, Some(AA)], [None, Some(AE)], [None, Some(AR)]),
            ("AL", "NE", [Some(CA), None], [Some(CE), None], [Some(CR), None]),
            ("AL", "", [Some(CA), None], [Some(CE), None], [Some(CR), None]),
            ("AL", "AL", [Some(CA), Some(AA)], [Some(CE), Some(AE)], [Some(CR), Some(AR)]),
            ("NE", "NE", [None, None], [None, None], [None, None]),
            ("ER", "SU", [None, Some(AA)], [Some(CE), None], [Some(CR), None]),
        ];
        for (accept, application, accepted, error, rejected) in table {
            let message = format!("MSH|^~\\&|||||||REF^I12|1|P|2.4|||{accept}|{application}");
            let mode = Mode::of(&Header::read(message.as_bytes()));
            assert_eq!(mode.answers(Verdict::Accepted), accepted, "{accept}/{application}");
            assert_eq!(mode.answers(Verdict::Error), error, "{accept}/{application}");
            assert_eq!(mode.answers(Verdict::Rejected), rejected, "{accept}/{application}");
        }
    }

    #[test]
    fn reads_no_answer_where_there_is_none() {
        assert_eq!(Received::read(b"AA"), None);
        assert_eq!(Received::read(b"MSH|^~\\&|A\rPID|1"), None);
        let odd = Received::read(b"MSH|^~\\&|A\rMSA|OK|1\rERR|^^^999&patient's name").unwrap();
        assert_eq!((odd.code, odd.error), (None, None));
    }
}
