//! What a [`Select`](crate::Select) over another one passes on unchanged, written once.

use std::pin::Pin;

use crate::Result;

/// What a method of [`Select`](crate::Select) returns, as `async_trait` writes it.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Inside `#[async_trait] impl Select`: methods that the field `$select` answers.
///
/// ```ignore
/// contract::passed_on!(select: series, spans, label_names);
/// ```
#[macro_export]
macro_rules! passed_on {
    ($select:ident: $($method:ident),+ $(,)?) => { $($crate::passed_on!(@ $select $method);)+ };
    (@ $s:ident series) => { $crate::passed_on!(@@ $s series $crate::SeriesRequest, $crate::Selection<$crate::SeriesData>); };
    (@ $s:ident logs) => { $crate::passed_on!(@@ $s logs $crate::LogsRequest, $crate::Selection<$crate::model::LogBatch>); };
    (@ $s:ident log_counts) => {
        $crate::passed_on!(@@ $s log_counts $crate::LogCountsRequest, Option<$crate::Selection<$crate::LogCounts>>);
    };
    (@ $s:ident spans) => { $crate::passed_on!(@@ $s spans $crate::SpansRequest, $crate::Selection<$crate::model::SpanBatch>); };
    (@ $s:ident span_keys) => {
        $crate::passed_on!(
            @@ $s span_keys $crate::SpanKeysRequest,
            (Vec<($crate::SpanScope, String)>, $crate::Coverage)
        );
    };
    (@ $s:ident span_values) => {
        $crate::passed_on!(@@ $s span_values $crate::SpanValuesRequest, (Vec<$crate::SpanValue>, $crate::Coverage));
    };
    (@ $s:ident label_names) => {
        $crate::passed_on!(@@ $s label_names $crate::LabelNamesRequest, (Vec<String>, $crate::Coverage));
    };
    (@ $s:ident label_values) => {
        $crate::passed_on!(@@ $s label_values $crate::LabelValuesRequest, (Vec<String>, $crate::Coverage));
    };
    (@ $s:ident label_sets) => {
        $crate::passed_on!(@@ $s label_sets $crate::LabelNamesRequest, (Vec<$crate::model::Labels>, $crate::Coverage));
    };
    (@ $s:ident metadata) => {
        $crate::passed_on!(@@ $s metadata $crate::MetadataRequest, (Vec<$crate::model::MetricMetadata>, $crate::Coverage));
    };
    (@ $s:ident exemplars) => {
        $crate::passed_on!(
            @@ $s exemplars $crate::ExemplarsRequest,
            (Vec<($crate::model::Labels, Vec<$crate::model::Exemplar>)>, $crate::Coverage)
        );
    };
    (@ $s:ident patterns) => {
        $crate::passed_on!(@@ $s patterns $crate::PatternsRequest, (Vec<$crate::SeriesData>, $crate::Coverage));
    };
    (@ $s:ident evaluate) => { $crate::passed_on!(@@ $s evaluate $crate::EvaluateRequest, $crate::Evaluated); };
    (@ $s:ident parts) => {
        fn parts(
            &self,
            signal: &$crate::model::Signal,
            selectors: &[Vec<$crate::model::Matcher>],
            range: $crate::model::TimeRange,
        ) -> Option<Vec<$crate::Part>> {
            self.$s.parts(signal, selectors, range)
        }
    };
    (@ $s:ident capabilities) => {
        fn capabilities(&self) -> $crate::Capabilities {
            self.$s.capabilities()
        }
    };
    (@@ $s:ident $method:ident $request:ty, $answer:ty) => {
        fn $method<'life0, 'async_trait>(
            &'life0 self,
            request: $request,
        ) -> $crate::pass::Answer<'async_trait, $answer>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            self.$s.$method(request)
        }
    };
}
