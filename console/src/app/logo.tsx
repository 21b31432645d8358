export function Logo() {
  return (
    <svg width="24" height="24" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="#0f766e" />
      <path d="M9 7v18M16 5v20M23 9v18" stroke="#fff" stroke-width="1.8" stroke-linecap="round" />
      <path d="M6.8 12h4.4v8H6.8zM13.8 9h4.4v7h-4.4zM20.8 14h4.4v8h-4.4z" fill="#fff" />
    </svg>
  );
}
