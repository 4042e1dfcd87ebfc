export { WindhoverServer } from './server/windhover-server.js';
export { createApplication } from './server/server.js';
export { serve } from './hosting/serve.js';
export { WebApplication } from './hosting/web-application.js';
export { ServerAddressesFeature } from './features/server-features.js';
