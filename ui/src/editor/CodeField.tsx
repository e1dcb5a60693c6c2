/** A CodeMirror that React mounts once: the address sets the text, typing reports a draft, Enter runs it. */
import { Compartment, EditorState, type Extension } from '@codemirror/state';
import { EditorView } from '@codemirror/view';
import { useEffect, useRef } from 'react';
import type { FieldProps } from './QueryField';
import { type Hooks, setup } from './setup';
import { setUnderlines, underlines } from './underline';

interface Props extends FieldProps {
  language: Extension;
}

export function CodeField({ label, hint, value, language, notes, onRun, onDraft }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const hooks = useRef<Hooks>({ run: onRun, draft: onDraft });
  const slot = useRef(new Compartment());
  const start = useRef({ value, language });
  useEffect(() => {
    hooks.current = { run: onRun, draft: onDraft };
  });

  useEffect(() => {
    if (!host.current) return;
    // A note on an answer leads to the place it speaks of.
    const goTo = (event: Event) => {
      const at = event instanceof CustomEvent ? Number(event.detail) : 0;
      made.dispatch({ selection: { anchor: Math.min(Math.max(0, at), made.state.doc.length) }, scrollIntoView: true });
      made.focus();
    };
    const made = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: start.current.value,
        extensions: [setup(label, hint, () => hooks.current), underlines, slot.current.of(start.current.language)],
      }),
    });
    view.current = made;
    const element = host.current;
    element.addEventListener('go-to', goTo);
    return () => {
      element.removeEventListener('go-to', goTo);
      made.destroy();
      view.current = null;
    };
  }, [label, hint]);

  useEffect(() => {
    start.current.value = value;
    const made = view.current;
    if (!made || made.state.doc.toString() === value) return;
    made.dispatch({ changes: { from: 0, to: made.state.doc.length, insert: value } });
  }, [value]);

  useEffect(() => {
    const made = view.current;
    // Places are those of the text that was answered; what is being typed may be another.
    if (made && made.state.doc.toString() === value) made.dispatch({ effects: setUnderlines.of(notes ?? []) });
  }, [notes, value]);

  useEffect(() => {
    start.current.language = language;
    view.current?.dispatch({ effects: slot.current.reconfigure(language) });
  }, [language]);

  return <div ref={host} className="codeField" />;
}
