interface Props {
  name: string;
  /** Called on click only: a large list is written out once it is wanted. */
  make: () => unknown;
}

export function JsonButton({ name, make }: Props) {
  const save = () => {
    const url = URL.createObjectURL(new Blob([JSON.stringify(make(), null, 2)], { type: 'application/json' }));
    const link = document.createElement('a');
    link.href = url;
    link.download = `${name}.json`;
    link.click();
    URL.revokeObjectURL(url);
  };
  return (
    <button type="button" className="btn quiet" onClick={save}>
      JSON
    </button>
  );
}
