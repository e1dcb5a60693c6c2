/** LogQL: Grafana's grammar for colours, and completion of labels, values, stages and functions from the node. */
import {
  type Completion,
  type CompletionContext,
  type CompletionResult,
  snippetCompletion,
} from '@codemirror/autocomplete';
import { LanguageSupport, LRLanguage } from '@codemirror/language';
import type { Extension } from '@codemirror/state';
import { parser } from '@grafana/lezer-logql';
import { styleTags, tags } from '@lezer/highlight';
import { detectedFields } from '../api/logfields';
import { logLabels, logLabelValues } from '../api/loki';
import type { Asker } from '../api/http';
import { isFieldName } from '../lib/fields';
import { hasParser, selectorOf, splitLogQuery } from '../lib/logql';
import { readSearch } from '../lib/searchtext';
import type { Range } from '../lib/time';

interface Where {
  asker: Asker;
  range: Range;
}

const language = LRLanguage.define({
  parser: parser.configure({
    props: [
      styleTags({
        'Identifier LabelName': tags.labelName,
        String: tags.string,
        'Number Duration Bytes': tags.number,
        LineComment: tags.comment,
        'By Without On Ignoring GroupLeft GroupRight Bool Offset And Or Unless': tags.keyword,
        'Json Logfmt Unpack Pattern Regexp Unwrap LabelFormat LineFormat Decolorize Drop Keep': tags.keyword,
        'RangeOp/... VectorOp/... ConvOp/... LabelReplace Vector': tags.function(tags.variableName),
        'Pipe PipeExact PipeMatch PipePattern Npa Eq Neq Re Nre Eql Gtr Gte Lss Lte': tags.operator,
      }),
    ],
  }),
  languageData: { closeBrackets: { brackets: ['(', '[', '{', '"', '`'] }, commentTokens: { line: '#' } },
});

const STAGES: readonly Completion[] = [
  ...(['json', 'logfmt', 'unpack', 'decolorize'] as const).map((label) => ({
    label,
    type: 'keyword',
    detail: 'parse',
  })),
  snippetCompletion('pattern "${<_> <field> <_>}"', { label: 'pattern', detail: 'parse by a pattern' }),
  snippetCompletion('regexp "${(?P<field>.+)}"', { label: 'regexp', detail: 'parse by a regular expression' }),
  snippetCompletion('line_format "${{{.field}}}"', { label: 'line_format', detail: 'rewrite the line' }),
  snippetCompletion('label_format ${new}=${old}', { label: 'label_format', detail: 'rename a label' }),
  snippetCompletion('unwrap ${field}', { label: 'unwrap', detail: 'use a field as the value' }),
  { label: 'drop', type: 'keyword', detail: 'remove labels' },
  { label: 'keep', type: 'keyword', detail: 'keep only labels' },
];

const FUNCTIONS: readonly Completion[] = [
  ...['count_over_time', 'rate', 'bytes_over_time', 'bytes_rate', 'absent_over_time'].map((name) =>
    snippetCompletion(`${name}({\${}} [5m])`, { label: name, detail: 'over lines' }),
  ),
  ...[
    'sum_over_time',
    'avg_over_time',
    'min_over_time',
    'max_over_time',
    'quantile_over_time',
    'first_over_time',
    'last_over_time',
  ].map((name) => ({ label: name, type: 'function', detail: 'over unwrapped values' })),
  ...['sum', 'avg', 'min', 'max', 'count', 'topk', 'bottomk', 'stddev'].map((label) => ({
    label,
    type: 'function',
    detail: 'aggregate',
  })),
];

export function logql(where: () => Where): Extension {
  const complete = (context: CompletionContext) => suggest(context, where());
  return new LanguageSupport(language, [language.data.of({ autocomplete: complete })]);
}

const IN_VALUE = /([A-Za-z_][\w.]*)\s*(?:=|!=|=~|!~)\s*"([^"]*)$/;
const IN_NAME = /[{,]\s*([A-Za-z_]?[\w.]*)$/;

async function suggest(context: CompletionContext, where: Where): Promise<CompletionResult | null> {
  const before = context.state.sliceDoc(Math.max(0, context.pos - 2000), context.pos);
  const open = before.lastIndexOf('{');
  const inSelector = open > before.lastIndexOf('}');
  if (inSelector) return suggestInSelector(context, before.slice(open), where);
  const stage = /\|\s*([A-Za-z_]\w*|)$/.exec(before);
  if (stage) {
    const fields = await suggestFields(context.state.doc.toString(), where);
    return { from: context.pos - (stage[1]?.length ?? 0), options: [...STAGES, ...fields], validFor: /^\w*$/ };
  }
  const word = context.matchBefore(/[a-z_]+/);
  // Plain words are searched for as they stand: Enter must not turn one into a function.
  if (!context.explicit && (!word || !/[({]/.test(context.state.doc.toString()))) return null;
  return { from: word?.from ?? context.pos, options: [...FUNCTIONS], validFor: /^[a-z_]*$/ };
}

/** Fields of the streams that are asked about, behind the parser that finds each. */
async function suggestFields(text: string, where: Where): Promise<Completion[]> {
  const query = readSearch(text, '').query;
  if (splitLogQuery(query) === null) return [];
  const answer = await detectedFields(selectorOf(query), where.asker, where.range).catch(() => null);
  const pipeline = splitLogQuery(query)?.pipeline ?? '';
  return (answer?.data ?? [])
    .filter((field) => isFieldName(field.name))
    .map(({ name, type, parser }) => ({
      label: name,
      type: 'property',
      detail: parser === null ? type : `${type}, ${parser}`,
      apply: parser === null || hasParser(pipeline) ? `${name}=` : `${parser} | ${name}=`,
    }));
}

async function suggestInSelector(
  context: CompletionContext,
  inside: string,
  where: Where,
): Promise<CompletionResult | null> {
  const value = IN_VALUE.exec(inside);
  if (value) {
    const values = await logLabelValues(value[1] ?? '', where.asker, where.range).catch(() => []);
    return {
      from: context.pos - (value[2]?.length ?? 0),
      options: values.map((label) => ({ label, type: 'constant' })),
      validFor: /^[^"]*$/,
    };
  }
  const name = IN_NAME.exec(inside);
  if (!name) return null;
  const answer = await logLabels(where.asker, where.range).catch(() => null);
  const names = answer?.data ?? [];
  return {
    from: context.pos - (name[1]?.length ?? 0),
    options: names.map((label) => ({ label, type: 'property', apply: `${label}=` })),
    validFor: /^[\w.]*$/,
  };
}
