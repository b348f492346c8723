//! MLLP release 1: `0B` message `1C 0D`.
//!
//! A message ends only at the pair 1C 0D. What stands before a frame is junk: dropped, counted, and capped so
//! that a peer which speaks something else is cut off. A new 0B inside a frame means that the frame before was cut
//! short: it is dropped and counted. The search goes on where it stopped, so a frame that comes byte by byte costs
//! no more than one that comes at once.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr, memchr2, memmem};
use tokio_util::codec::Decoder;

const START: u8 = 0x0B;
const END: u8 = 0x1C;
const LAST: u8 = 0x0D;

/// What a frame may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a message.
    pub frame_bytes_max: usize,
    /// Bytes between two frames.
    pub junk_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { frame_bytes_max: 10 << 20, junk_bytes_max: 4 << 10 }
    }
}

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The transport failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer does not speak MLLP.
    #[error("more than {max} bytes outside of any frame")]
    Junk {
        /// The limit.
        max: usize,
    },
    /// The peer sends more than is taken.
    #[error("a frame of more than {max} bytes")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// A message that holds the bytes of a frame's edge cannot be sent in one.
    #[error("the message holds bytes that would end its frame")]
    Unframeable,
}

/// What was seen on a connection besides whole frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Frames that never ended.
    pub truncated: u64,
    /// Bytes outside of any frame.
    pub junk_bytes: u64,
}

/// The codec of one connection.
#[derive(Debug, Default)]
pub struct Mllp {
    limits: Limits,
    seen: Seen,
    /// Inside a frame: how much of the buffer, START included, is known to hold no end.
    inside: Option<usize>,
    /// Bytes of junk since the last frame.
    junk: usize,
}

impl Mllp {
    /// A codec with limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        self.seen
    }

    /// A frame has begun and not ended.
    pub fn is_inside(&self) -> bool {
        self.inside.is_some()
    }

    /// Drops what stands before a frame, and enters the frame if there is one.
    fn enter(&mut self, buffer: &mut BytesMut) -> Result<(), FrameError> {
        let start = memchr(START, buffer);
        let junk = start.unwrap_or(buffer.len());
        buffer.advance(junk);
        self.junk += junk;
        self.seen.junk_bytes += junk as u64;
        if self.junk > self.limits.junk_bytes_max {
            return Err(FrameError::Junk { max: self.limits.junk_bytes_max });
        }
        self.inside = start.map(|_| 1);
        Ok(())
    }

    /// Looks for the end of the frame from where the search stopped.
    fn scan(&mut self, buffer: &mut BytesMut, from: usize) -> Result<Option<Bytes>, FrameError> {
        let mut at = from;
        while let Some(found) = memchr2(START, END, &buffer[at..]).map(|found| at + found) {
            match (buffer[found], buffer.get(found + 1)) {
                (START, _) => {
                    self.wait(found)?;
                    self.seen.truncated += 1;
                    buffer.advance(found);
                    at = 1;
                }
                (_, Some(&LAST)) => return self.leave(buffer, found),
                (_, Some(_)) => at = found + 1,
                (_, None) => return self.wait(found),
            }
        }
        self.wait(buffer.len())
    }

    fn leave(&mut self, buffer: &mut BytesMut, end: usize) -> Result<Option<Bytes>, FrameError> {
        self.wait(end)?;
        self.inside = None;
        self.junk = 0;
        let mut frame = buffer.split_to(end + 2);
        frame.truncate(end);
        frame.advance(1);
        Ok(Some(frame.freeze()))
    }

    fn wait(&mut self, searched: usize) -> Result<Option<Bytes>, FrameError> {
        self.inside = Some(searched);
        if searched - 1 > self.limits.frame_bytes_max {
            return Err(FrameError::TooLarge { max: self.limits.frame_bytes_max });
        }
        Ok(None)
    }
}

impl Decoder for Mllp {
    type Item = Bytes;
    type Error = FrameError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        if self.inside.is_none() {
            self.enter(buffer)?;
        }
        self.inside.map_or(Ok(None), |searched| self.scan(buffer, searched))
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let frame = self.decode(buffer)?;
        if frame.is_none() && self.inside.take().is_some() {
            self.seen.truncated += 1;
            buffer.clear();
        }
        Ok(frame)
    }
}

/// A message in its frame: one buffer, so that it leaves in one write. Some receivers break on a first packet of one
/// byte.
pub fn wrap(message: &[u8]) -> Result<Vec<u8>, FrameError> {
    if memchr(START, message).is_some() || memmem::find(message, &[END, LAST]).is_some() {
        return Err(FrameError::Unframeable);
    }
    Ok([&[START], message, &[END, LAST]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames and what else was seen, from pieces as they arrive.
    fn decoded<'a>(codec: &mut Mllp, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Vec<u8>>, FrameError> {
        let mut buffer = BytesMut::new();
        let mut frames = Vec::new();
        for piece in pieces {
            buffer.extend_from_slice(piece);
            while let Some(frame) = codec.decode(&mut buffer)? {
                frames.push(frame.to_vec());
            }
        }
        while let Some(frame) = codec.decode_eof(&mut buffer)? {
            frames.push(frame.to_vec());
        }
        Ok(frames)
    }

    const STREAM: &[u8] = b"\r\n\x0bone\x1c\r\x0btwo\x1c2\r\x1c\r\r\x0b\x1c\r\x0bcut\x0bthree\x1c\x1c\r\x0blost";

    #[test]
    fn finds_the_same_frames_however_they_arrive() {
        let expected: [&[u8]; 4] = [b"one", b"two\x1c2\r", b"", b"three\x1c"];
        for size in 1..=STREAM.len() {
            let mut codec = Mllp::default();
            assert_eq!(decoded(&mut codec, STREAM.chunks(size)).unwrap(), expected, "{size}");
            assert_eq!(codec.seen(), Seen { truncated: 2, junk_bytes: 3 }, "{size}");
        }
    }

    #[test]
    fn holds_its_limits() {
        let codec = || Mllp::new(Limits { frame_bytes_max: 5, junk_bytes_max: 3 });
        assert_eq!(decoded(&mut codec(), [&b"abc\x0b12345\x1c\rabc\x0b\x1c\r"[..]]).unwrap().len(), 2);
        assert!(matches!(decoded(&mut codec(), [&b"abcd"[..]]), Err(FrameError::Junk { max: 3 })));
        assert!(matches!(decoded(&mut codec(), [&b"\x0b123456"[..]]), Err(FrameError::TooLarge { max: 5 })));
        assert!(matches!(decoded(&mut codec(), [&b"\x0b123456\x1c\r"[..]]), Err(FrameError::TooLarge { max: 5 })));
    }

    #[test]
    fn knows_whether_it_is_inside_a_frame() {
        let mut codec = Mllp::default();
        let mut buffer = BytesMut::from(&b"\r\x0bab"[..]);
        assert!(codec.decode(&mut buffer).unwrap().is_none() && codec.is_inside());
        buffer.extend_from_slice(b"\x1c\r");
        assert!(codec.decode(&mut buffer).unwrap().is_some() && !codec.is_inside());
    }

    #[test]
    fn a_large_frame_that_comes_byte_by_byte_costs_linear_time() {
        let mut stream = vec![0x1C; 5 << 20];
        stream[0] = START;
        stream.push(LAST);
        let mut codec = Mllp::default();
        let mut buffer = BytesMut::with_capacity(stream.len());
        let mut frames = 0;
        let begun = std::time::Instant::now();
        for byte in stream {
            buffer.extend_from_slice(&[byte]);
            frames += usize::from(codec.decode(&mut buffer).unwrap().is_some());
        }
        assert_eq!(frames, 1);
        assert!(begun.elapsed().as_secs() < 20, "quadratic: {:?}", begun.elapsed());
    }

    #[test]
    fn writes_what_it_reads_and_refuses_what_would_break_the_frame() {
        let frame = wrap(b"MSH|\rPID|\r").unwrap();
        assert_eq!(frame, b"\x0bMSH|\rPID|\r\x1c\r");
        assert_eq!(decoded(&mut Mllp::default(), [&frame[..]]).unwrap(), [b"MSH|\rPID|\r"]);
        for message in [&b"a\x0bb"[..], b"a\x1c\rb"] {
            assert!(matches!(wrap(message), Err(FrameError::Unframeable)));
        }
    }
}
