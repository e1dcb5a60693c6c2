/** Underlines in the text of an answered query, where its notes point to. They leave as soon as the text is another. */
import { type Extension, StateEffect, StateField } from '@codemirror/state';
import { Decoration, type DecorationSet, EditorView } from '@codemirror/view';

export interface Underline {
  /** Offsets in the whole text. */
  from: number;
  to: number;
  level: 'warning' | 'info';
  text: string;
}

export const setUnderlines = StateEffect.define<readonly Underline[]>();

const field = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update: (shown, transaction) => {
    for (const effect of transaction.effects) {
      if (effect.is(setUnderlines)) return draw(effect.value, transaction.state.doc.length);
    }
    return transaction.docChanged ? Decoration.none : shown;
  },
  provide: (self) => EditorView.decorations.from(self),
});

function draw(all: readonly Underline[], length: number): DecorationSet {
  const ranges = all
    .filter((one) => one.from >= 0 && one.from < one.to && one.to <= length)
    .map((one) =>
      Decoration.mark({ class: `cm-note-${one.level}`, attributes: { title: one.text } }).range(one.from, one.to),
    );
  return Decoration.set(ranges, true);
}

const look = EditorView.theme({
  '.cm-note-warning': { textDecoration: 'underline wavy var(--warn) 1px', textUnderlineOffset: '3px' },
  '.cm-note-info': { textDecoration: 'underline wavy var(--accent) 1px', textUnderlineOffset: '3px' },
});

export const underlines: Extension = [field, look];
