import { runTool } from '../../host/run-tool';

/** Copies a disk, sharing its blocks where the host's file system can; holes stay holes. Rejects with Internal. */
export async function copyDisk(from: string, to: string): Promise<void> {
  await runTool('cp', ['--sparse=always', '--reflink=auto', from, to]);
}
