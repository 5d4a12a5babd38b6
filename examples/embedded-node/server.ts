import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { UndoList } from './undo-list.js';

/** What is at a path of the server. */
export interface Page {
  readonly type: string;
  text(): string | Promise<string>;
}

/**
 * Serves pages on 127.0.0.1.
 *
 * @param port - 0: any free one
 * @returns where
 * @throws Error if the port cannot be opened
 */
export async function serve(pages: ReadonlyMap<string, Page>, port: number, undo: UndoList): Promise<string> {
  const server = createServer((request, response) => {
    const [path = ''] = (request.url ?? '').split('?');
    const page = pages.get(path);
    if (page === undefined) {
      response.writeHead(404).end(`there is ${[...pages.keys()].join(', ')}\n`);
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
    } else {
      Promise.resolve(page.text()).then(
        (text) => response.writeHead(200, { 'content-type': page.type }).end(text),
        () => response.writeHead(500).end(),
      );
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', resolve);
  });
  undo.add('the server', () => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}
