/** Every key, grouped, and the switch that turns single letters off. */
import { useState } from 'react';
import { type Actions, letterKeysOn, PAGE_KEYS, setLetterKeys, shortcuts } from './actions';
import { Dialog } from './Dialog';
import { CloseIcon } from './icons';

interface Props {
  actions: Actions;
  onClose: () => void;
}

const NAMES: Record<string, string> = {
  mod: 'Ctrl',
  ArrowLeft: '←',
  ArrowRight: '→',
  ArrowUp: '↑',
  ArrowDown: '↓',
  Escape: 'Esc',
};

export default function Help({ actions, onClose }: Props) {
  const [letters, setLetters] = useState(letterKeysOn);
  const all = [...shortcuts(actions), ...PAGE_KEYS];
  const groups = [...new Set(all.map((one) => one.group))];
  return (
    <Dialog label="Keyboard" padding={16} onClose={onClose}>
      <div className="row helpHead">
        <h2 className="grow">Keyboard</h2>
        <button type="button" className="btn quiet" aria-label="Close" onClick={onClose}>
          <CloseIcon />
        </button>
      </div>
      <div className="helpGroups">
        {groups.map((group) => (
          <section key={group} aria-label={group}>
            <h3>{group}</h3>
            <dl className="helpKeys">
              {all
                .filter((one) => one.group === group)
                .map((one) => (
                  <div key={one.keys}>
                    <dt>
                      {one.keys.split(/[ +]/).map((key) => (
                        <kbd key={key}>{NAMES[key] ?? key}</kbd>
                      ))}
                    </dt>
                    <dd>{one.label}</dd>
                  </div>
                ))}
            </dl>
          </section>
        ))}
      </div>
      <label className="row helpSwitch">
        <input
          type="checkbox"
          checked={letters}
          onChange={(event) => {
            setLetters(event.target.checked);
            setLetterKeys(event.target.checked);
          }}
        />
        Keys without Ctrl work
      </label>
    </Dialog>
  );
}
