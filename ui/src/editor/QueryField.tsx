/** A query editor by language. Until its code is here the query stands as plain text in the same place. */
import { lazy, Suspense } from 'react';
import type { Underline } from './underline';
import './editor.css';

export interface FieldProps {
  label: string;
  hint: string;
  /** The text that last ran; a change from outside (back button, example) replaces what is in the editor. */
  value: string;
  onRun: () => void;
  onDraft: (text: string) => void;
  /** Underlined while the text is the one that was answered. */
  notes?: readonly Underline[] | undefined;
}

const FIELDS = {
  promql: lazy(() => import('./PromField')),
  logql: lazy(() => import('./LogField')),
  traceql: lazy(() => import('./TraceField')),
};

export function QueryField({ language, ...props }: FieldProps & { language: keyof typeof FIELDS }) {
  const Field = FIELDS[language];
  return (
    <Suspense fallback={<pre className="codeField codeWaiting">{props.value || ' '}</pre>}>
      <Field {...props} />
    </Suspense>
  );
}
