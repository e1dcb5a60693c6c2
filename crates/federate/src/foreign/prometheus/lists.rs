//! Names, values, label sets, metadata and exemplars: the same paths on all servers of this kind. Limits are applied
//! here and not sent, since what is cut there is told as a warning, and since our labels belong into the list.

use std::collections::BTreeMap;

use contract::{
    Coverage, ExemplarsRequest, LabelNamesRequest, LabelValuesRequest, MetadataRequest, NamedField, Result,
    Scope,
};
use model::{Exemplar, Labels, Matcher, MetricKind, MetricMetadata, matcher::all_match};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    ANY, Prometheus,
    json::{Success, number, or_default},
};
use crate::foreign::{
    error::garbled,
    labels::Added,
    selector::{conditioned, selector},
    site::{Form, seconds, segment},
    sorted, visible,
};

/// What remains to be asked: how labels change, and the alternatives as selectors (none means everything).
struct Asked {
    added: Added,
    selectors: Vec<Vec<Matcher>>,
    form: Form,
}

impl Prometheus {
    /// `None` where nothing can match.
    async fn asked(&self, scope: &Scope, selectors: &[Vec<Matcher>]) -> Result<Option<Asked>> {
        if visible(scope, &self.owner).is_none() {
            return Ok(None);
        }
        let known = self.known(&scope.limits).await?;
        let Some(added) = self.added(scope, &known) else { return Ok(None) };
        let Some(selectors) = added.alternatives(selectors) else { return Ok(None) };
        let (start, end) = self.bounded(scope.range.to_ms_inclusive());
        if start > end {
            return Ok(None);
        }
        let mut form: Form = vec![("start", seconds(start)), ("end", seconds(end))];
        form.extend(selectors.iter().map(|s| ("match[]", selector(&conditioned(s.clone(), ANY)))));
        Ok(Some(Asked { added, selectors, form }))
    }

    /// A list, posted where the server takes that: selectors may be many.
    async fn listed<T: DeserializeOwned + Default>(
        &self,
        path: &str,
        form: &Form,
        scope: &Scope,
    ) -> Result<(T, Vec<String>)> {
        #[derive(Deserialize)]
        #[serde(bound = "T: DeserializeOwned + Default")]
        struct List<T>(#[serde(deserialize_with = "or_default")] T);
        let request = match path.starts_with("/api/v1/label/") {
            true => self.site.request(path, form),
            false => self.site.posted(path, form),
        };
        let body: Success<List<T>> = self.site.json(request, &scope.limits).await?;
        Ok((body.data.0, body.warnings))
    }

    pub(super) async fn names(&self, r: &LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        let Some(asked) = self.asked(&r.scope, &r.selectors).await? else {
            return Ok((Vec::new(), self.coverage(&r.scope, &[])));
        };
        let (mut names, warnings): (Vec<String>, _) =
            self.listed("/api/v1/labels", &asked.form, &r.scope).await?;
        if !names.is_empty() {
            names.extend(asked.added.names());
        }
        Ok((sorted(names, r.limit), self.coverage(&r.scope, &warnings)))
    }

    pub(super) async fn values(&self, r: &LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        let none = || Ok((Vec::new(), self.coverage(&r.scope, &[])));
        let NamedField::Label(name) = &r.field else { return none() };
        let Some(asked) = self.asked(&r.scope, &r.selectors).await? else { return none() };
        if asked.added.fixed(name).is_some() || asked.added.lacking(name).is_some() {
            return self.values_of_ours(name, r, asked).await;
        }
        let path = format!("/api/v1/label/{}/values", segment(name));
        let (values, warnings): (Vec<String>, _) = self.listed(&path, &asked.form, &r.scope).await?;
        Ok((sorted(values, r.limit), self.coverage(&r.scope, &warnings)))
    }

    /// Of a label that is put on here: its one value where there is anything at all, and of one that fills gaps also
    /// what series bring themselves.
    async fn values_of_ours(
        &self,
        name: &str,
        r: &LabelValuesRequest,
        asked: Asked,
    ) -> Result<(Vec<String>, Coverage)> {
        let (names, mut warnings): (Vec<String>, _) =
            self.listed("/api/v1/labels", &asked.form, &r.scope).await?;
        let mut values = Vec::new();
        if !names.is_empty() {
            values.extend(asked.added.fixed(name).or(asked.added.lacking(name)).map(str::to_owned));
        }
        if asked.added.fixed(name).is_none() {
            let path = format!("/api/v1/label/{}/values", segment(name));
            let (more, said): (Vec<String>, _) = self.listed(&path, &asked.form, &r.scope).await?;
            values.extend(more);
            warnings.extend(said);
        }
        Ok((sorted(values, r.limit), self.coverage(&r.scope, &warnings)))
    }

    pub(super) async fn sets(&self, r: &LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        let Some(mut asked) = self.asked(&r.scope, &r.selectors).await? else {
            return Ok((Vec::new(), self.coverage(&r.scope, &[])));
        };
        if asked.selectors.is_empty() {
            asked.form.push(("match[]", selector(&conditioned(Vec::new(), ANY))));
        }
        let (found, warnings): (Vec<BTreeMap<String, String>>, _) =
            self.listed("/api/v1/series", &asked.form, &r.scope).await?;
        let dressed = found.into_iter().map(|pairs| asked.added.dress(Labels::from_pairs(pairs)));
        let wanted = |l: &Labels| r.selectors.is_empty() || r.selectors.iter().any(|s| all_match(s, l));
        let sets = dressed.filter(wanted).collect();
        Ok((sorted(sets, r.limit), self.coverage(&r.scope, &warnings)))
    }

    pub(super) async fn families(&self, r: &MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        #[derive(Deserialize)]
        struct Family {
            #[serde(default, rename = "type")]
            kind: String,
            #[serde(default)]
            help: String,
            #[serde(default)]
            unit: String,
        }
        if visible(&r.scope, &self.owner).is_none() {
            return Ok((Vec::new(), self.coverage(&r.scope, &[])));
        }
        let form: Form = r.family.iter().map(|f| ("metric", f.clone())).collect();
        let body: Success<BTreeMap<String, Vec<Family>>> =
            self.site.json(self.site.request("/api/v1/metadata", &form), &r.scope.limits).await?;
        // Targets may disagree about a family; the first one is as good as any.
        let mut families: Vec<MetricMetadata> = body
            .data
            .into_iter()
            .filter(|(family, _)| r.family.as_ref().is_none_or(|f| f == family))
            .filter_map(|(family, said)| {
                let Family { kind, help, unit } = said.into_iter().next()?;
                let kind = MetricKind::ALL.into_iter().find(|k| k.as_str() == kind).unwrap_or_default();
                Some(MetricMetadata { family, kind, unit, help })
            })
            .collect();
        families.truncate(r.limit.unwrap_or(usize::MAX));
        Ok((families, self.coverage(&r.scope, &body.warnings)))
    }

    pub(super) async fn exemplars_of(
        &self,
        r: &ExemplarsRequest,
    ) -> Result<(Vec<(Labels, Vec<Exemplar>)>, Coverage)> {
        let Some(asked) = self.asked(&r.scope, &r.selectors).await? else {
            return Ok((Vec::new(), self.coverage(&r.scope, &[])));
        };
        let (first, last) = r.scope.range.to_ms_inclusive();
        let any = [conditioned(Vec::new(), ANY)];
        let selectors = if asked.selectors.is_empty() { &any[..] } else { &asked.selectors[..] };
        let mut found: BTreeMap<Labels, Vec<Exemplar>> = BTreeMap::new();
        let mut warnings = Vec::new();
        for s in selectors {
            let mut form: Form = asked.form.iter().filter(|(n, _)| *n != "match[]").cloned().collect();
            form.push(("query", selector(&conditioned(s.clone(), ANY))));
            let (list, said): (Vec<OfSeries>, _) =
                self.listed("/api/v1/query_exemplars", &form, &r.scope).await?;
            warnings.extend(said);
            for of in list {
                let labels = asked.added.dress(Labels::from_pairs(of.series));
                if !r.selectors.iter().any(|s| all_match(s, &labels)) {
                    continue;
                }
                let into = found.entry(labels).or_default();
                for e in of.exemplars {
                    let e = e
                        .read()
                        .ok_or_else(|| garbled(&self.site.name, "an exemplar", "its value is no number"))?;
                    if first <= e.timestamp_ms && e.timestamp_ms <= last && !into.contains(&e) {
                        into.push(e);
                    }
                }
            }
        }
        found.retain(|_, list| !list.is_empty());
        found.values_mut().for_each(|list| list.sort_by_key(|e| e.timestamp_ms));
        Ok((found.into_iter().collect(), self.coverage(&r.scope, &warnings)))
    }
}

#[derive(Deserialize)]
struct OfSeries {
    #[serde(rename = "seriesLabels")]
    series: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    exemplars: Vec<JsonExemplar>,
}

#[derive(Deserialize)]
struct JsonExemplar {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    value: String,
    timestamp: f64,
}

impl JsonExemplar {
    fn read(self) -> Option<Exemplar> {
        let timestamp_ms = (self.timestamp * 1000.0).round() as i64;
        Some(Exemplar { labels: Labels::from_pairs(self.labels), value: number(&self.value)?, timestamp_ms })
    }
}
