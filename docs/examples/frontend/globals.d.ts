// What the two scripts before app.js leave behind.
interface Window {
  supabase: typeof import('@supabase/supabase-js')
  SUPABASE: { url: string; key: string }
}
