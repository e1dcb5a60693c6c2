/** A modal dialog with a name. The kit's own header is a page banner to screen readers, so there is none. */
import { Modal } from '@mantine/core';
import type { ReactNode } from 'react';

interface Props {
  label: string;
  padding: number;
  onClose: () => void;
  children: ReactNode;
}

export function Dialog({ label, padding, onClose, children }: Props) {
  return (
    <Modal.Root opened onClose={onClose} size="lg" yOffset="12vh" transitionProps={{ duration: 0 }}>
      <Modal.Overlay backgroundOpacity={0.45} />
      <Modal.Content aria-label={label}>
        <Modal.Body p={padding}>{children}</Modal.Body>
      </Modal.Content>
    </Modal.Root>
  );
}
