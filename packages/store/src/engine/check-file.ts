export function checkFile(_path: string): readonly string[] {
  return []
}
