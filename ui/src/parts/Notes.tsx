/** Annotations that came with an answer: what the engine says, and the place in the query it means. */
import { useMemo } from 'react';
import { type Note, readNotes } from '../lib/notes';
import { InfoIcon, WarnIcon } from '../shell/icons';

interface Props {
  warnings: readonly string[];
  infos: readonly string[];
  query: string;
  /** Puts the cursor of the editor there. */
  onPlace?: ((note: Note) => void) | undefined;
}

/** Notes shown before the rest is counted. */
const SHOWN = 5;
/** Characters of the line kept on either side of the place. */
const AROUND = 40;

export function Notes({ warnings, infos, query, onPlace }: Props) {
  const notes = useMemo(() => readNotes(warnings, infos, query), [warnings, infos, query]);
  if (notes.length === 0) return null;
  return (
    <ul className="notes" aria-label="Notes on this answer">
      {notes.slice(0, SHOWN).map((note, i) => (
        <li key={i} className={note.level === 'warning' ? 'note warn' : 'note'}>
          {note.level === 'warning' ? <WarnIcon /> : <InfoIcon />}
          <span className="noteText">
            <span>
              <span className="srOnly">{note.level === 'warning' ? 'Warning: ' : 'Note: '}</span>
              {note.text}
            </span>
            <Place note={note} query={query} onPlace={onPlace} />
          </span>
        </li>
      ))}
      {notes.length > SHOWN ? <li className="note soft">and {notes.length - SHOWN} more</li> : null}
    </ul>
  );
}

function Place({ note, query, onPlace }: { note: Note; query: string; onPlace: Props['onPlace'] }) {
  if (note.line === null || note.column === null) return null;
  const line = query.split('\n')[note.line - 1] ?? '';
  const from = Math.max(0, note.column - 1 - AROUND);
  const to = Math.min(line.length, note.column - 1 + note.length + AROUND);
  const inside = (
    <>
      {from > 0 ? '…' : ''}
      {line.slice(from, note.column - 1)}
      <span className="noteAt">{line.slice(note.column - 1, note.column - 1 + note.length)}</span>
      {line.slice(note.column - 1 + note.length, to)}
      {to < line.length ? '…' : ''}
    </>
  );
  const where = `line ${note.line}, column ${note.column}`;
  if (!onPlace) return <code className="notePlace">{inside}</code>;
  return (
    <button type="button" className="notePlace data" title={`Go to ${where}`} onClick={() => onPlace(note)}>
      <span className="srOnly">Go to {where}: </span>
      {inside}
    </button>
  );
}
