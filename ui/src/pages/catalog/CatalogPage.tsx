/** Every metric of the range without a query language: what it is, how it moves, a graph that suits it on click. */
import { Link, useSearch } from '@tanstack/react-router';
import { useDeferredValue, useMemo } from 'react';
import { type Entry, facets, KIND_NAMES, KINDS, matches, type Sort, sortEntries } from '../../lib/catalog';
import { formatCount } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { type Column, VirtualTable } from '../../parts/VirtualTable';
import type { CatalogSearch } from '../../state/search';
import { usePatch } from '../../state/view';
import { MetricDetail } from './MetricDetail';
import { SparkCell } from './SparkCell';
import { Toolbar } from './Toolbar';
import { type Catalog, useCatalog } from './useCatalog';
import './catalog.css';

export default function CatalogPage() {
  const search = useSearch({ from: '/metrics/catalog' });
  const catalog = useCatalog(search.label);
  const find = useDeferredValue(search.find ?? '');
  const filters = useMemo(() => {
    const wanted = (search.type ?? '').split(',');
    return { find, kinds: KINDS.filter((kind) => wanted.includes(kind)), prefix: search.prefix ?? '' };
  }, [find, search.type, search.prefix]);
  const sort: Sort = search.sort ?? 'name';
  const shown = useMemo(
    () =>
      sortEntries(
        catalog.entries.filter((entry) => matches(entry, filters)),
        sort,
        (entry) => catalog.countOf(entry) ?? -1,
      ),
    [catalog.entries, catalog.countOf, filters, sort],
  );
  const offered = useMemo(() => facets(catalog.entries, filters), [catalog.entries, filters]);
  const open = catalog.entries.find(
    (entry) => entry.name === search.metric || entry.names.includes(search.metric ?? ''),
  );
  return (
    <div className="page catalogPage">
      <Toolbar search={search} kinds={filters.kinds} facets={offered} />
      {catalog.error ? <Problem error={catalog.error} onRetry={catalog.retry} /> : null}
      <div className={search.metric ? 'catalogBody open' : 'catalogBody'}>
        <section className="panel catalogList" aria-label="Metrics">
          <Count catalog={catalog} shown={shown.length} />
          {!catalog.loading && shown.length === 0 ? (
            <Nothing some={catalog.entries.length > 0} label={search.label} />
          ) : (
            <List catalog={catalog} shown={shown} sort={sort} search={search} />
          )}
        </section>
        {search.metric ? (
          <MetricDetail
            key={search.metric}
            name={search.metric}
            entry={open}
            loading={catalog.loading}
            series={open ? catalog.countOf(open) : null}
          />
        ) : null}
      </div>
    </div>
  );
}

function Count({ catalog, shown }: { catalog: Catalog; shown: number }) {
  const all = catalog.entries.length;
  return (
    <p className="catalogCount soft" role="status">
      {catalog.loading
        ? 'Reading the catalogue'
        : `${formatCount(shown)}${shown < all ? ` of ${formatCount(all)}` : ''} metrics, ${formatCount(catalog.names)} series names`}
    </p>
  );
}

function Nothing({ some, label }: { some: boolean; label: string | undefined }) {
  return (
    <div className="empty">
      <h2>{some ? 'No metric matches' : 'No metric in this range'}</h2>
      <p>
        {some
          ? 'Search looks in names, series names and help. Clear a filter above to see more.'
          : label
            ? 'No metric has this label in the range. Widen the range, or clear the label filter.'
            : 'Widen the range, or send metrics: OTLP to /v1/metrics, remote write to /api/v1/write, or scrape targets.'}
      </p>
    </div>
  );
}

interface ListProps {
  catalog: Catalog;
  shown: readonly Entry[];
  sort: Sort;
  search: CatalogSearch;
}

/** Tall enough for a curve whose ups and downs can be told apart. */
const ROW_PX = 32;

function List({ catalog, shown, sort, search }: ListProps) {
  const patch = usePatch();
  const narrow = search.metric !== undefined;
  const by = (next: Sort) => () => patch({ sort: next === 'name' ? undefined : next }, 'replace');
  const columns: (Column & { cell: (entry: Entry) => React.ReactNode })[] = [
    {
      key: 'name',
      title: 'Metric',
      width: narrow ? 'minmax(0, 1fr)' : 'minmax(180px, 5fr)',
      sort: sort === 'name' ? 'ascending' : undefined,
      onSort: by('name'),
      cell: (entry) => <NameLink entry={entry} />,
    },
    {
      key: 'type',
      title: 'Type',
      width: '84px',
      sort: sort === 'type' ? 'ascending' : undefined,
      onSort: by('type'),
      cell: (entry) => <span className="tag">{KIND_NAMES[entry.kind]}</span>,
    },
    { key: 'unit', title: 'Unit', width: '62px', cell: (entry) => <span className="soft">{entry.unit || '–'}</span> },
    {
      key: 'help',
      title: 'Help',
      width: 'minmax(0, 4fr)',
      cell: (entry) => (
        <span className="soft" title={entry.help}>
          {entry.help || '–'}
        </span>
      ),
    },
    {
      key: 'series',
      title: 'Series',
      width: '60px',
      align: 'right',
      sort: sort === 'series' ? 'descending' : undefined,
      onSort: by('series'),
      cell: (entry) => {
        const count = catalog.countOf(entry);
        return count === null ? <span className="faint">{catalog.counted ? '–' : ''}</span> : formatCount(count);
      },
    },
    {
      key: 'spark',
      title: 'In this range',
      width: '250px',
      cell: (entry) => <SparkCell key={entry.name} entry={entry} />,
    },
  ];
  const wanted = narrow ? columns.filter((one) => one.key === 'name' || one.key === 'type') : columns;
  const at = shown.findIndex((entry) => entry.name === search.metric);
  return (
    <VirtualTable
      label="Metrics"
      columns={wanted}
      count={shown.length}
      height="fill"
      fit
      rowPx={narrow ? 26 : ROW_PX}
      keyOf={(row) => shown[row]?.name ?? String(row)}
      current={at < 0 ? undefined : at}
      cell={(row, column) => {
        const entry = shown[row];
        return entry ? wanted[column]?.cell(entry) : '';
      }}
    />
  );
}

function NameLink({ entry }: { entry: Entry }) {
  const search = (before: CatalogSearch) => ({
    ...before,
    metric: entry.name,
    view: undefined,
    by: undefined,
    where: undefined,
    solo: undefined,
  });
  return (
    <Link
      from="/metrics/catalog"
      to="."
      search={search}
      className="data clip catalogName"
      title={entry.names.join('\n')}
    >
      {entry.name}
    </Link>
  );
}
