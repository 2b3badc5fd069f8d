/**
 * A headless Chromium: the system's where there is one, otherwise the one that comes as a package, so that a machine with
 * Node and npm alone has one too.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import bundled, { inflate } from '@sparticuz/chromium'
import { type Browser, chromium } from 'playwright-core'
import { outcomeOf } from '../outcome.ts'

const SYSTEM_NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const ARGUMENTS = ['--no-sandbox', '--no-zygote', '--disable-gpu', '--disable-quic']

/** A browser, or why none can run here. */
export async function findBrowser(): Promise<Browser | string> {
  const reasons: string[] = []
  for (const launch of [launchSystem, launchBundled, launchWithLibraries]) {
    const outcome = await outcomeOf(launch())
    if (outcome.ok) return outcome.value
    reasons.push(outcome.error.message.split('\n', 1)[0] ?? '')
  }
  return reasons.join('; ')
}

function start(executablePath: string, env: NodeJS.ProcessEnv = process.env): Promise<Browser> {
  const given = Object.entries(env).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  )
  return chromium.launch({ executablePath, args: ARGUMENTS, env: Object.fromEntries(given) })
}

async function launchSystem(): Promise<Browser> {
  const folders = (process.env['PATH'] ?? '').split(':')
  const path = SYSTEM_NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(
    (candidate) => existsSync(candidate),
  )
  if (path === undefined) throw new Error('no chromium on the path')
  return await start(path)
}

async function launchBundled(): Promise<Browser> {
  return await start(await bundled.executablePath())
}

/** On a system that lacks its libraries: with those of the package. */
async function launchWithLibraries(): Promise<Browser> {
  const archive = new URL('../../bin/al2023.tar.br', import.meta.resolve('@sparticuz/chromium'))
  const folder = await inflate(archive.pathname)
  return await start(await bundled.executablePath(), {
    ...process.env,
    LD_LIBRARY_PATH: join(folder, 'lib'),
  })
}
