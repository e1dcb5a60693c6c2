/** The LogQL field, in a chunk of its own like the PromQL one. */
import { useEffect, useMemo, useRef } from 'react';
import { useView } from '../state/view';
import { CodeField } from './CodeField';
import { logql } from './logql';
import type { FieldProps } from './QueryField';

export default function LogField(props: FieldProps) {
  const { asker, range } = useView();
  const where = useRef({ asker, range });
  useEffect(() => {
    where.current = { asker, range };
  });
  const language = useMemo(() => logql(() => where.current), []);
  return <CodeField {...props} language={language} />;
}
