/** TraceQL: Grafana's grammar for colours, and completion of attributes, values, stages and functions from the node. */
import {
  type Completion,
  type CompletionContext,
  type CompletionResult,
  snippetCompletion,
} from '@codemirror/autocomplete';
import { LanguageSupport, LRLanguage } from '@codemirror/language';
import type { Extension } from '@codemirror/state';
import { parser } from '@grafana/lezer-traceql';
import { styleTags, tags } from '@lezer/highlight';
import type { Asker } from '../api/http';
import { tagNames, tagValues } from '../api/tempo';
import type { Range } from '../lib/time';
import { attributeText, quoteTrace } from '../lib/traceql';
import { placeInTraceql } from '../lib/traceplace';

interface Where {
  asker: Asker;
  range: Range;
}

const language = LRLanguage.define({
  parser: parser.configure({
    props: [
      styleTags({
        'Identifier Parent Event Instrumentation Link Resource Span': tags.labelName,
        IntrinsicField: tags.propertyName,
        String: tags.string,
        'Integer Float Duration': tags.number,
        'LineComment BlockComment': tags.comment,
        'And Or Pipe Gt Desc Lt Anc ExperimentalOp UnionStructuralOp FieldOp ComparisonOp ScalarOp': tags.operator,
        'AggregateExpression Aggregate MetricsOperationBasicType MetricsOverTimeType MetricsAggregatorFunctionType':
          tags.function(tags.variableName),
        'With HintIdentifier': tags.keyword,
      }),
    ],
  }),
  languageData: {
    closeBrackets: { brackets: ['(', '{', '"', '`'] },
    commentTokens: { line: '//', block: { open: '/*', close: '*/' } },
  },
});

const INTRINSICS: readonly Completion[] = [
  ['name', 'of the span'],
  ['duration', 'of the span'],
  ['status', 'error, ok, unset'],
  ['statusMessage', 'text of the status'],
  ['kind', 'server, client, …'],
  ['rootName', 'of the trace'],
  ['rootServiceName', 'of the trace'],
  ['traceDuration', 'of the trace'],
  ['nestedSetParent', '< 0 for roots'],
  ['childCount', 'of the span'],
  ['trace:id', ''],
  ['span:id', ''],
  ['span:parentID', ''],
  ['event:name', ''],
  ['event:timeSinceStart', ''],
  ['link:traceID', ''],
  ['link:spanID', ''],
  ['instrumentation:name', ''],
  ['instrumentation:version', ''],
].map(([label = '', detail = '']) => ({ label, detail, type: 'property' }));

const STAGES: readonly Completion[] = [
  snippetCompletion('{ ${} }', { label: '{ }', detail: 'filter spans again' }),
  snippetCompletion('count() > ${1}', { label: 'count()', detail: 'by the number of spans' }),
  snippetCompletion('avg(duration) > ${1s}', { label: 'avg()', detail: 'by an average' }),
  snippetCompletion('min(duration) > ${1s}', { label: 'min()', detail: 'by the smallest' }),
  snippetCompletion('max(duration) > ${1s}', { label: 'max()', detail: 'by the largest' }),
  snippetCompletion('sum(duration) > ${1s}', { label: 'sum()', detail: 'by the sum' }),
  snippetCompletion('by(${resource.service.name})', { label: 'by()', detail: 'a spanset for every value' }),
  snippetCompletion('select(${span.http.route})', { label: 'select()', detail: 'more attributes in the answer' }),
  { label: 'coalesce()', type: 'keyword', detail: 'one spanset again' },
  snippetCompletion('rate()${}', { label: 'rate()', detail: 'spans per second, over time' }),
  snippetCompletion('count_over_time()${}', { label: 'count_over_time()', detail: 'spans per step' }),
  snippetCompletion('quantile_over_time(duration, ${.5, .95, .99})', {
    label: 'quantile_over_time()',
    detail: 'percentiles over time',
  }),
  snippetCompletion('histogram_over_time(${duration})', {
    label: 'histogram_over_time()',
    detail: 'buckets over time',
  }),
  ...['min', 'max', 'avg', 'sum'].map((name) =>
    snippetCompletion(`${name}_over_time(\${duration})`, { label: `${name}_over_time()`, detail: 'over time' }),
  ),
  snippetCompletion('compare({ ${status = error} })', { label: 'compare()', detail: 'which attributes differ' }),
  snippetCompletion('topk(${5})', { label: 'topk()', detail: 'highest series' }),
  snippetCompletion('bottomk(${5})', { label: 'bottomk()', detail: 'lowest series' }),
];

const WORDS: Readonly<Record<string, readonly string[]>> = {
  status: ['error', 'ok', 'unset'],
  'span:status': ['error', 'ok', 'unset'],
  kind: ['server', 'client', 'producer', 'consumer', 'internal', 'unspecified'],
  'span:kind': ['server', 'client', 'producer', 'consumer', 'internal', 'unspecified'],
};

export function traceql(where: () => Where): Extension {
  const complete = (context: CompletionContext) => suggest(context, where());
  return new LanguageSupport(language, [language.data.of({ autocomplete: complete })]);
}

async function suggest(context: CompletionContext, where: Where): Promise<CompletionResult | null> {
  const place = placeInTraceql(context.state.sliceDoc(Math.max(0, context.pos - 4000), context.pos));
  if (place.kind === 'none') return null;
  const from = context.pos - place.typed.length;
  if (place.kind === 'value') return { from, options: await values(place.attribute, place.quoted, where) };
  if (place.kind === 'stage') return { from, options: [...STAGES], validFor: /^[\w]*$/ };
  if (place.typed === '' && !context.explicit && !place.fresh) return null;
  return { from, options: [...INTRINSICS, ...(await attributes(where))], validFor: /^[\w.:\-/]*$/ };
}

async function attributes(where: Where): Promise<Completion[]> {
  // A failed look-up means fewer suggestions; it must not interrupt typing.
  const answer = await tagNames(where.asker, where.range).catch(() => null);
  return (answer?.data ?? [])
    .filter((scope) => scope.name !== 'intrinsic')
    .flatMap(({ name, tags: names }) =>
      names.map((tag) => ({ label: attributeText(name === 'none' ? '' : name, tag), type: 'property' })),
    );
}

async function values(attribute: string, quoted: boolean, where: Where): Promise<Completion[]> {
  const words = WORDS[attribute];
  if (words) return words.map((label) => ({ label, type: 'constant' }));
  const answer = await tagValues(attribute, where.asker, where.range).catch(() => null);
  return (answer?.data ?? []).map(({ type, value }) => {
    if (type !== 'string') return { label: value, type: 'constant' };
    const text = quoteTrace(value);
    // The closing quote is there already, put by the editor.
    return { label: value, type: 'constant', apply: quoted ? text.slice(1, -1) : text };
  });
}
