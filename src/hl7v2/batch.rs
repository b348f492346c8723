//! Batches (2.10.3): `[FHS] {BHS {message} BTS} [FTS]`, each message as the bytes that it came in.
//!
//! The envelope says how many there are. Where it says so wrongly the messages are still what they are; whoever
//! reads them is told.

use super::delimiters::Delimiters;
use super::message::{part, split, trim};

/// A batch, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch<'a> {
    /// The messages, in order.
    pub messages: Vec<&'a [u8]>,
    /// BHS-11 of the first batch: the number by which its sender knows it.
    pub control_id: &'a [u8],
    /// What is wrong with the envelope.
    pub faults: Vec<BatchFault>,
}

/// What can be wrong with an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchFault {
    /// BTS-1 is not the number of messages.
    #[error("BTS-1 is not the number of messages")]
    MessageCount,
    /// FTS-1 is not the number of batches.
    #[error("FTS-1 is not the number of batches")]
    BatchCount,
    /// Segments stand outside of any message.
    #[error("segments stand outside of any message")]
    Stray,
}

/// Takes a batch apart; `None`: it does not begin with FHS or BHS.
pub fn read(bytes: &[u8]) -> Option<Batch<'_>> {
    let text = trim(bytes);
    if !(text.starts_with(b"FHS") || text.starts_with(b"BHS")) {
        return None;
    }
    let mut reader = Reader { text, batch: Batch::default(), message: None, in_batch: 0, batches: 0 };
    let mut begin = 0;
    for end in memchr::memchr2_iter(b'\r', b'\n', text).chain([text.len()]) {
        if begin < end {
            reader.line(begin, end);
        }
        begin = end + 1;
    }
    reader.message_ends(text.len());
    Some(reader.batch)
}

struct Reader<'a> {
    text: &'a [u8],
    batch: Batch<'a>,
    /// Where the message that is being read began.
    message: Option<usize>,
    in_batch: usize,
    batches: usize,
}

impl<'a> Reader<'a> {
    fn line(&mut self, begin: usize, end: usize) {
        let line = &self.text[begin..end];
        match line.get(..3).unwrap_or_default() {
            b"MSH" => {
                self.message_ends(begin);
                self.message = Some(begin);
                self.in_batch += 1;
            }
            b"FHS" => self.message_ends(begin),
            b"BHS" => {
                self.message_ends(begin);
                self.in_batch = 0;
                self.batches += 1;
                if self.batches == 1 {
                    self.batch.control_id = field(line, 11);
                }
            }
            b"BTS" => {
                self.message_ends(begin);
                self.compare(line, self.in_batch, BatchFault::MessageCount);
            }
            b"FTS" => {
                self.message_ends(begin);
                self.compare(line, self.batches, BatchFault::BatchCount);
            }
            _ if self.message.is_none() => self.fault(BatchFault::Stray),
            _ => {}
        }
    }

    fn message_ends(&mut self, end: usize) {
        if let Some(begin) = self.message.take() {
            self.batch.messages.push(&self.text[begin..end]);
        }
    }

    /// An empty count says nothing.
    fn compare(&mut self, line: &[u8], counted: usize, fault: BatchFault) {
        let separator = line.get(3).copied();
        let said = part(line, separator, 2).unwrap_or_default().trim_ascii();
        let number = std::str::from_utf8(said).ok().and_then(|said| said.parse::<usize>().ok());
        if !said.is_empty() && number != Some(counted) {
            self.fault(fault);
        }
    }

    fn fault(&mut self, fault: BatchFault) {
        if !self.batch.faults.contains(&fault) {
            self.batch.faults.push(fault);
        }
    }
}

/// A field of an envelope's header; numbered like those of MSH.
fn field(line: &[u8], number: usize) -> &[u8] {
    let separator = Delimiters::read(line).map(|delimiters| delimiters.field);
    separator.and_then(|it| split(line, Some(it)).nth(number - 1)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "MSH|^~\\&|A|B|||2026||ADT^A31|1|P|2.4\rPID|1\r";
    const TWO: &str = "MSH$%~\\&$A$B$$$2026$$ADT%A31$2$P$2.4\rPID$1\r";

    fn faults(text: &str) -> Vec<BatchFault> {
        read(text.as_bytes()).unwrap().faults
    }

    #[test]
    fn takes_a_file_of_batches_apart() {
        let text = format!("FHS|^~\\&|A\rBHS|^~\\&|A|B|||2026||||B7\r{ONE}{TWO}BTS|2\rBHS|^~\\&\r{ONE}BTS|1\rFTS|2\r");
        let batch = read(text.as_bytes()).unwrap();
        assert_eq!(batch.messages, [ONE.as_bytes(), TWO.as_bytes(), ONE.as_bytes()]);
        assert_eq!((batch.control_id, batch.faults.as_slice()), (&b"B7"[..], &[][..]));
        assert_eq!(read(ONE.as_bytes()), None);
    }

    #[test]
    fn says_what_is_wrong_with_the_envelope() {
        assert_eq!(faults(&format!("BHS|^~\\&\r{ONE}BTS|5")), [BatchFault::MessageCount]);
        assert_eq!(
            faults(&format!("FHS|^~\\&\rBHS|^~\\&\r{ONE}BTS|x\rFTS|2")),
            [BatchFault::MessageCount, BatchFault::BatchCount]
        );
        assert_eq!(faults(&format!("BHS|^~\\&\rPID|1\r{ONE}BTS")), [BatchFault::Stray]);
        assert_eq!(faults("BHS"), []);
    }
}
