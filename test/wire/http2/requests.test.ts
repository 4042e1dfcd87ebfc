import { testCases } from '../../support/h2/conformance-server.js';
import { requests } from './cases/requests.js';

testCases(requests);
