//! An object store that misbehaves on command: calls fail before they did anything, or succeed and still
//! answer with an error, or everything fails as after a crash.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};
use parking_lot::Mutex;

/// Calls that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Put,
    Get,
    List,
    Delete,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nothing happened.
    Before,
    /// It happened, and the answer is an error all the same: the writer cannot know.
    After,
    /// It happened, and from then on nothing works until [`FaultObjects::heal`]: a crash right behind it.
    CrashAfter,
    /// Nothing happened, and nothing works from then on.
    CrashBefore,
    /// Nothing happened, and the caller's task panics.
    Panic,
}

#[derive(Default)]
struct Plan {
    /// (call, how many of them still pass, how the next one fails).
    next: Option<(Call, u64, Failure)>,
    down: bool,
    /// Every get whose path contains this fails.
    unreadable: Option<String>,
    puts: u64,
}

/// Wraps another store. Clones share the plan.
#[derive(Clone)]
pub struct FaultObjects {
    inner: Arc<dyn ObjectStore>,
    plan: Arc<Mutex<Plan>>,
}

impl FaultObjects {
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        FaultObjects { inner, plan: Arc::default() }
    }

    /// The `n`th such call from now (0 is the next) fails, once.
    pub fn fail_in(&self, call: Call, n: u64, failure: Failure) {
        self.plan.lock().next = Some((call, n, failure));
    }

    /// Every call fails until [`FaultObjects::heal`].
    pub fn go_down(&self) {
        self.plan.lock().down = true;
    }

    /// Reads of objects whose path contains `part` fail.
    pub fn make_unreadable(&self, part: &str) {
        self.plan.lock().unreadable = Some(part.to_owned());
    }

    pub fn heal(&self) {
        *self.plan.lock() = Plan::default();
    }

    /// Puts asked for so far.
    pub fn puts(&self) -> u64 {
        self.plan.lock().puts
    }

    /// Whether the call fails, and how.
    fn verdict(&self, call: Call) -> Option<Failure> {
        let plan = &mut *self.plan.lock();
        if call == Call::Put {
            plan.puts += 1;
        }
        if plan.down {
            return Some(Failure::Before);
        }
        let (wanted, left, failure) = plan.next.as_mut()?;
        if *wanted != call {
            return None;
        }
        if *left > 0 {
            *left -= 1;
            return None;
        }
        let failure = *failure;
        plan.next = None;
        plan.down = matches!(failure, Failure::CrashAfter | Failure::CrashBefore);
        Some(failure)
    }

    fn injected(&self) -> Error {
        Error::Generic { store: "FaultObjects", source: "injected failure".into() }
    }

    async fn around<T>(&self, call: Call, run: impl Future<Output = Result<T>>) -> Result<T> {
        match self.verdict(call) {
            None => run.await,
            Some(Failure::Before | Failure::CrashBefore) => Err(self.injected()),
            Some(Failure::Panic) => panic!("an injected panic"),
            Some(Failure::After | Failure::CrashAfter) => {
                run.await?;
                Err(self.injected())
            }
        }
    }
}

impl fmt::Debug for FaultObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultObjects({})", self.inner)
    }
}

impl fmt::Display for FaultObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[async_trait]
impl ObjectStore for FaultObjects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.around(Call::Put, self.inner.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.around(Call::Put, self.inner.put_multipart_opts(location, options)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.plan.lock().unreadable.as_ref().is_some_and(|p| location.as_ref().contains(p.as_str())) {
            return Err(self.injected());
        }
        self.around(Call::Get, self.inner.get_opts(location, options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let mut out = Vec::with_capacity(ranges.len());
        for range in ranges {
            out.push(self.get_range(location, range.clone()).await?);
        }
        Ok(out)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        locations
            .then(move |path| {
                let this = this.clone();
                async move {
                    let path = path?;
                    this.around(Call::Delete, this.inner.delete(&path)).await?;
                    Ok(path)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.verdict(Call::List) {
            None => self.inner.list(prefix),
            Some(_) => stream::iter([Err(self.injected())]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.around(Call::List, self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.around(Call::Put, self.inner.copy_opts(from, to, options)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    #[tokio::test]
    async fn a_put_that_answers_with_an_error_may_have_happened() {
        let objects = FaultObjects::new(Arc::new(InMemory::new()));
        let (a, b) = (Path::from("a"), Path::from("b"));
        objects.fail_in(Call::Put, 1, Failure::After);
        objects.put(&a, "1".into()).await.unwrap();
        assert!(objects.put(&b, "2".into()).await.is_err());
        assert!(objects.get(&b).await.is_ok());
        objects.fail_in(Call::Put, 0, Failure::CrashBefore);
        assert!(objects.put(&a, "3".into()).await.is_err());
        assert!(objects.get(&a).await.is_err(), "down after the crash");
        objects.heal();
        assert_eq!(&objects.get(&a).await.unwrap().bytes().await.unwrap()[..], b"1");
    }
}
