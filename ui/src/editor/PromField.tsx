/** The PromQL field. It lives in a chunk of its own: results are drawn before the editor has arrived. */
import { useEffect, useMemo, useRef } from 'react';
import { useView } from '../state/view';
import { CodeField } from './CodeField';
import type { FieldProps } from './QueryField';
import { promql } from './promql';

export default function PromField(props: FieldProps) {
  const { asker, range } = useView();
  const where = useRef({ asker, range });
  useEffect(() => {
    where.current = { asker, range };
  });
  const language = useMemo(() => promql(() => where.current), []);
  return <CodeField {...props} language={language} />;
}
