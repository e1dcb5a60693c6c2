/** The TraceQL field, in a chunk of its own like the PromQL one. */
import { useEffect, useMemo, useRef } from 'react';
import { useView } from '../state/view';
import { CodeField } from './CodeField';
import type { FieldProps } from './QueryField';
import { traceql } from './traceql';

export default function TraceField(props: FieldProps) {
  const { asker, range } = useView();
  const where = useRef({ asker, range });
  useEffect(() => {
    where.current = { asker, range };
  });
  const language = useMemo(() => traceql(() => where.current), []);
  return <CodeField {...props} language={language} />;
}
