//! What the tests of all signals share: a store that remembers what was read from it, and ways to damage a
//! file.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, memory::InMemory, path::Path,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio::runtime::Runtime;

use crate::{Error, Result};

/// In memory, and lists every range asked for.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    inner: InMemory,
    read: std::sync::Mutex<Vec<Range<u64>>>,
}

impl Counting {
    pub fn take_reads(&self) -> Vec<Range<u64>> {
        std::mem::take(&mut *self.read.lock().unwrap())
    }

    pub fn take_bytes(&self) -> u64 {
        self.take_reads().iter().map(|r| r.end - r.start).sum()
    }
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("counting")
    }
}

type Stored<T> = object_store::Result<T>;

#[async_trait::async_trait]
impl ObjectStore for Counting {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Stored<PutResult> {
        self.inner.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Stored<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Stored<GetResult> {
        match &options.range {
            Some(GetRange::Bounded(r)) => self.read.lock().unwrap().push(r.clone()),
            other => panic!("only bounded ranges are to be read, not {other:?}"),
        }
        self.inner.get_opts(at, options).await
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Stored<Vec<Bytes>> {
        self.read.lock().unwrap().extend_from_slice(ranges);
        self.inner.get_ranges(at, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Stored<Path>>) -> BoxStream<'static, Stored<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Stored<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Stored<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Stored<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// A store that holds the bytes at the path returned.
pub(crate) fn stored(bytes: &Bytes) -> (Arc<Counting>, Path) {
    let (store, path) = (Arc::new(Counting::default()), Path::from("t/s/w/x.parquet"));
    block_on(store.put(&path, PutPayload::from_bytes(bytes.clone()))).unwrap();
    (store, path)
}

/// Waits for a future on threads that tasks may be spawned on.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    RUNTIME.block_on(future)
}

pub(crate) fn collect<T>(stream: BoxStream<'static, Result<T>>) -> Result<Vec<T>> {
    block_on(stream.try_collect())
}

/// Rows an ordinary Parquet reader sees.
pub(crate) fn plain_rows(bytes: &Bytes) -> usize {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap().build().unwrap();
    reader.map(|b| b.unwrap().num_rows()).sum()
}

/// Damages the file in many places; `read` opens and reads all of it. Every answer is either the right one or
/// a corrupt segment, and no read panics.
pub(crate) fn survives_damage<T: PartialEq + fmt::Debug>(bytes: &Bytes, read: impl Fn(&Bytes) -> Result<T>) {
    let whole = read(bytes).unwrap();
    let mut damaged: Vec<Bytes> = Vec::new();
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..150 {
        let mut b = bytes.to_vec();
        let (at, bit) = (random(b.len()), random(8));
        b[at] ^= 1 << bit;
        damaged.push(b.into());
    }
    // The end holds the most structure per byte.
    for back in 1..=64.min(bytes.len()) {
        let mut b = bytes.to_vec();
        let at = b.len() - back;
        b[at] ^= 0xff;
        damaged.push(b.into());
    }
    for _ in 0..40 {
        damaged.push(bytes.slice(..random(bytes.len())));
    }
    damaged.extend([Bytes::new(), bytes.slice(..bytes.len() - 1), bytes.slice(1..)]);
    for b in damaged {
        match read(&b) {
            Ok(got) => assert_eq!(got, whole),
            Err(e) => {
                assert_eq!(e.kind(), base::Kind::Corrupt, "{e}");
                assert!(
                    matches!(&e, Error::Corrupt { path, expected } if !path.is_empty() && !expected.is_empty())
                );
            }
        }
    }
}

/// Bytes of a fixture kept as hex text, 64 digits a line.
pub(crate) fn from_hex(text: &str) -> Bytes {
    let digits: String = text.split_whitespace().collect();
    crate::text::unhex(&digits).unwrap().into()
}

/// Writes a fixture when `ORRERY_WRITE_FIXTURES` names the directory at compile time of the tests.
pub(crate) fn write_fixture(name: &str, bytes: &Bytes) {
    let Some(dir) = option_env!("ORRERY_WRITE_FIXTURES") else { return };
    let hex: Vec<String> =
        bytes.chunks(32).map(|line| line.iter().map(|b| format!("{b:02x}")).collect::<String>()).collect();
    std::fs::write(format!("{dir}/{name}"), hex.join("\n") + "\n").unwrap();
}

pub(crate) fn drain_count<T>(stream: BoxStream<'static, Result<T>>, n: usize) -> Vec<T> {
    block_on(stream.take(n).try_collect()).unwrap()
}
