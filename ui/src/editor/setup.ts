/** What all query editors have in common: keys, brackets, colours from the tokens. */
import {
  acceptCompletion,
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  closeCompletion,
  completionKeymap,
  completionStatus,
} from '@codemirror/autocomplete';
import { history, historyKeymap, insertNewlineAndIndent, standardKeymap } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { type Extension, Prec } from '@codemirror/state';
import { drawSelection, EditorView, keymap, placeholder } from '@codemirror/view';
import { tags } from '@lezer/highlight';

const highlight = HighlightStyle.define([
  { tag: [tags.keyword, tags.modifier, tags.operatorKeyword], color: 'var(--series-3)' },
  { tag: [tags.function(tags.variableName), tags.operator], color: 'var(--series-0)' },
  { tag: [tags.labelName, tags.propertyName], color: 'var(--series-5)' },
  { tag: tags.string, color: 'var(--series-2)' },
  { tag: [tags.number, tags.unit], color: 'var(--series-1)' },
  { tag: tags.comment, color: 'var(--fg-faint)', fontStyle: 'italic' },
  { tag: tags.invalid, color: 'var(--bad)' },
]);

const look = EditorView.theme({
  '&': { fontSize: '13px', backgroundColor: 'transparent', color: 'var(--fg)' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--font-data)', lineHeight: '1.5', maxHeight: '160px' },
  '.cm-content': { padding: '4px 0', caretColor: 'var(--fg)' },
  '.cm-line': { padding: '0 8px' },
  '.cm-cursor': { borderLeftColor: 'var(--fg)' },
  '.cm-placeholder': { color: 'var(--fg-faint)' },
  '&.cm-focused .cm-selectionBackground, .cm-selectionBackground': {
    backgroundColor: 'color-mix(in srgb, var(--accent) 28%, transparent) !important',
  },
  '.cm-matchingBracket': { backgroundColor: 'var(--accent-soft) !important', outline: '1px solid var(--accent)' },
  '.cm-tooltip': {
    backgroundColor: 'var(--raised)',
    border: '1px solid var(--line)',
    borderRadius: '4px',
    boxShadow: 'var(--shadow)',
    color: 'var(--fg)',
    zIndex: '300',
  },
  '.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--font-data)', fontSize: '12px', maxHeight: '260px' },
  '.cm-tooltip-autocomplete > ul > li': { padding: '2px 8px', lineHeight: '20px' },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--accent-soft)', color: 'var(--fg)' },
  '.cm-completionDetail': { color: 'var(--fg-faint)', fontStyle: 'normal' },
  '.cm-completionMatchedText': { textDecoration: 'none', fontWeight: '700' },
  '.cm-completionInfo': { padding: '6px 8px', maxWidth: '380px', fontFamily: 'var(--font-ui)', fontSize: '12px' },
  '.cm-lintRange-error': { backgroundImage: 'none', textDecoration: 'underline wavy var(--bad)' },
  '.cm-diagnostic-error': { borderLeftColor: 'var(--bad)' },
});

export interface Hooks {
  run: () => void;
  draft: (text: string) => void;
}

export function setup(label: string, hint: string, hooks: () => Hooks): Extension {
  const runNow = (view: EditorView) => {
    closeCompletion(view);
    hooks().run();
    return true;
  };
  const run = (view: EditorView) => {
    // While the list of completions is open, Enter means "take this one".
    if (completionStatus(view.state) === 'active' && acceptCompletion(view)) return true;
    return runNow(view);
  };
  const leave = (view: EditorView) => {
    if (completionStatus(view.state) !== null) return false;
    view.contentDOM.blur();
    return true;
  };
  return [
    history(),
    drawSelection(),
    bracketMatching(),
    closeBrackets(),
    autocompletion({ icons: false, maxRenderedOptions: 60 }),
    syntaxHighlighting(highlight),
    look,
    placeholder(hint),
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({ 'aria-label': label }),
    EditorView.updateListener.of((update) => {
      if (update.docChanged) hooks().draft(update.state.doc.toString());
    }),
    Prec.highest(
      keymap.of([
        { key: 'Mod-Enter', run: runNow },
        { key: 'Enter', run },
        { key: 'Shift-Enter', run: insertNewlineAndIndent },
        { key: 'Tab', run: acceptCompletion },
      ]),
    ),
    keymap.of([
      ...closeBracketsKeymap,
      ...completionKeymap,
      ...historyKeymap,
      ...standardKeymap,
      { key: 'Escape', run: leave },
    ]),
  ];
}
