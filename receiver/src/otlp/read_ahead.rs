//! Reading ahead of a library that reads a connection in small steps: the HTTP/2 one asks for 8 KiB or the rest of a frame,
//! which is a hundred system calls for a request of 790 KB.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::poll_read_buf;

use super::wrapper::passes_writes_on;

/// When a connection is read ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ahead {
    /// Never.
    No,
    /// So many bytes, while more comes than is asked for.
    OfLarge(usize),
    /// Always so many bytes.
    Always(usize),
}

/// A connection that is read ahead. It holds no buffer while it waits for bytes.
pub(super) struct ReadAhead<S> {
    stream: S,
    ahead: Ahead,
    /// Whether the last read got all that it asked for, so that there is more.
    is_full: bool,
    buffer: BytesMut,
}

impl<S> ReadAhead<S> {
    pub(super) fn new(stream: S, ahead: Ahead) -> ReadAhead<S> {
        ReadAhead { stream, ahead, is_full: false, buffer: BytesMut::new() }
    }

    /// Bytes to read ahead for a reader that asks for `asked`.
    fn wanted(&self, asked: usize) -> Option<usize> {
        match self.ahead {
            Ahead::OfLarge(bytes) if self.is_full && bytes > asked => Some(bytes),
            Ahead::Always(bytes) if bytes > asked => Some(bytes),
            _ => None,
        }
    }
}

impl<S: AsyncRead + Unpin> ReadAhead<S> {
    /// Reads into the buffer, or directly when that is as good.
    fn read(&mut self, cx: &mut Context<'_>, asked: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(bytes) = self.wanted(asked.remaining()) else {
            ready!(Pin::new(&mut self.stream).poll_read(cx, asked))?;
            self.is_full = asked.remaining() == 0;
            return Poll::Ready(Ok(()));
        };
        self.buffer.reserve(bytes);
        ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.buffer))?;
        self.is_full = self.buffer.len() >= bytes;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, asked: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.buffer.is_empty() {
            match this.read(cx, asked) {
                Poll::Ready(result) => result?,
                Poll::Pending => {
                    this.is_full = false;
                    this.buffer = BytesMut::new();
                    return Poll::Pending;
                }
            }
        }
        let length = this.buffer.len().min(asked.remaining());
        asked.put_slice(&this.buffer[..length]);
        this.buffer.advance(length);
        Poll::Ready(Ok(()))
    }
}

passes_writes_on!(ReadAhead);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::poll_fn;

    use super::*;
    use proptest::prelude::*;

    /// Gives what it has in pieces, with a pause behind each, then the end; notes what it was asked for.
    #[derive(Default)]
    struct Stream {
        pieces: VecDeque<Vec<u8>>,
        asked: Vec<usize>,
        paused: bool,
    }

    impl AsyncRead for Stream {
        fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, asked: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let this = self.get_mut();
            if std::mem::take(&mut this.paused) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            this.asked.push(asked.remaining());
            if let Some(piece) = this.pieces.front_mut() {
                let length = piece.len().min(asked.remaining());
                asked.put_slice(&piece.drain(..length).collect::<Vec<u8>>());
                if piece.is_empty() {
                    this.pieces.pop_front();
                    this.paused = true;
                }
            }
            Poll::Ready(Ok(()))
        }
    }

    /// Reads with buffers of these sizes in turn until the end; gives all bytes and the largest buffer held when the
    /// stream had a pause.
    async fn read(reader: &mut ReadAhead<Stream>, sizes: &[usize]) -> (Vec<u8>, usize) {
        let (mut all, mut held) = (Vec::new(), 0);
        for size in sizes.iter().cycle() {
            let mut place = vec![0; *size];
            let length = poll_fn(|cx| {
                let mut asked = ReadBuf::new(&mut place);
                let read = Pin::new(&mut *reader).poll_read(cx, &mut asked);
                let length = asked.filled().len();
                if read.is_pending() {
                    held = held.max(reader.buffer.capacity());
                }
                read.map_ok(|()| length)
            });
            match length.await.unwrap() {
                0 => break,
                length => all.extend_from_slice(&place[..length]),
            }
        }
        (all, held)
    }

    fn ahead() -> impl Strategy<Value = Ahead> {
        prop_oneof![Just(Ahead::No), (1..300usize).prop_map(Ahead::OfLarge), (1..300usize).prop_map(Ahead::Always)]
    }

    proptest! {
        #[test]
        fn the_reader_sees_the_bytes_of_the_stream_and_nothing_is_held_in_its_pauses(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..400), 0..8),
            sizes in proptest::collection::vec(1..200usize, 1..5),
            ahead in ahead(),
        ) {
            let stream = Stream { pieces: pieces.clone().into(), ..Stream::default() };
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (all, held) = runtime.block_on(read(&mut ReadAhead::new(stream, ahead), &sizes));
            prop_assert_eq!(all, pieces.concat());
            prop_assert_eq!(held, 0);
        }
    }

    #[tokio::test]
    async fn only_what_is_longer_than_asked_for_is_read_ahead() {
        for (ahead, lengths, asked) in [
            (Ahead::OfLarge(1000), [50, 60], vec![100, 100, 100]),
            (Ahead::OfLarge(1000), [2500, 60], vec![100, 1000, 1000, 1000, 100, 100]),
            (Ahead::OfLarge(1000), [100, 60], vec![100, 100, 100]),
            (Ahead::Always(1000), [50, 1060], vec![1000, 1000, 1000, 1000]),
            (Ahead::No, [250, 60], vec![100, 100, 100, 100, 100]),
        ] {
            let pieces = lengths.map(|length| vec![b'x'; length]).into();
            let mut reader = ReadAhead::new(Stream { pieces, ..Stream::default() }, ahead);
            let (all, _) = read(&mut reader, &[100]).await;
            assert_eq!(all.len(), lengths.iter().sum::<usize>(), "{ahead:?} {lengths:?}");
            assert_eq!(reader.stream.asked, asked, "{ahead:?} {lengths:?}");
        }
    }
}
